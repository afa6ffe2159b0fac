"""Every kernel refuses arguments that the table of signatures does not have."""

from itertools import combinations
from typing import Any

import pytest
import torch

from fedseed.training import kernels
from fedseed.training.kernels.calls import call, table
from fedseed.training.kernels.signatures import (
    ArrayParameter,
    LayerParameter,
    LayerParameters,
    NumberParameter,
    Parameter,
    SizeParameter,
    read_table,
)
from tests.training.kernels.helpers import needs_kernels, small_stack

pytestmark = needs_kernels
FORMS = [
    pytest.param(entry.name, signature, id=c_name)
    for entry in (table().values() if kernels.are_available() else ())
    for c_name, signature in entry.functions.values()
]
SIZES = dict(zip(
    ("texts", "width", "rows", "features", "words", "count", "steps", "parts", "heads", "hidden",
     "wide", "step"),
    (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37),
    strict=True,
))  # fmt: skip
"""Every product of these is another number."""
every_kernel = pytest.mark.parametrize(("name", "signature"), FORMS)


def layer(parameter: LayerParameter, more: int = 0) -> LayerParameters:
    weight = torch.zeros(parameter.weight.among(SIZES) + more)
    bias = torch.zeros(parameter.bias.among(SIZES))
    return LayerParameters(weight, bias, weight.clone(), bias.clone())


def argument(parameter: Parameter) -> Any:
    if isinstance(parameter, ArrayParameter):
        return torch.zeros(parameter.count.among(SIZES), dtype=parameter.dtype)
    if isinstance(parameter, LayerParameter):
        return layer(parameter)
    return 0.5 if isinstance(parameter, NumberParameter) else SIZES[parameter.name]


def arguments(signature: Any) -> dict[str, Any]:
    return {parameter.name: argument(parameter) for parameter in signature.parameters}


def of_kind(signature: Any, kind: type[Parameter]) -> list[Any]:
    return [parameter for parameter in signature.parameters if isinstance(parameter, kind)]


def test_the_table_has_all_kernels() -> None:
    assert len(table()) == 24
    assert len(FORMS) == 33


@every_kernel
def test_good_arguments_are_taken(name: str, signature: Any) -> None:
    if "in_tiles" in name:  # 7 features are not a multiple of 32
        with pytest.raises(RuntimeError, match=f"kernel {name}: no matrix tiles"):
            call(name, **arguments(signature))
    else:
        call(name, **arguments(signature))


@every_kernel
def test_arguments_have_names(name: str, signature: Any) -> None:
    with pytest.raises(TypeError, match="positional"):
        call(name, *arguments(signature).values())  # type: ignore[arg-type]


@every_kernel
def test_a_missing_argument_and_one_too_many(name: str, signature: Any) -> None:
    good = arguments(signature)
    for missing in good:
        with pytest.raises(TypeError, match=f"kernel {name}: {missing}"):
            call(name, **{key: value for key, value in good.items() if key != missing})
    with pytest.raises(TypeError, match="unknown: not in the table"):
        call(name, **good, unknown=1)


def like(parameter: Parameter) -> tuple[Any, ...]:
    """What a parameter has in common with those that it can be taken for."""
    if isinstance(parameter, ArrayParameter):
        return parameter.dtype, parameter.count.among(SIZES)
    if isinstance(parameter, LayerParameter):
        return parameter.weight.among(SIZES), parameter.bias.among(SIZES)
    return (type(parameter),)


@every_kernel
def test_two_arguments_swapped(name: str, signature: Any) -> None:
    """All but those of one kind, type and size, which only their names tell apart."""
    good = arguments(signature)
    pairs = [
        (one.name, other.name)
        for one, other in combinations(signature.parameters, 2)
        if like(one) != like(other)
    ]
    assert len(pairs) >= 2
    for one, other in pairs:
        with pytest.raises((TypeError, ValueError), match=f"kernel {name}: "):
            call(name, **good | {one: good[other], other: good[one]})


@every_kernel
def test_arrays_of_another_type_or_too_short(name: str, signature: Any) -> None:
    good = arguments(signature)
    for parameter in of_kind(signature, ArrayParameter):
        array = good[parameter.name]
        for wrong in (array.double(), array.tolist(), array.new_zeros(2 * len(array))[::2]):
            with pytest.raises(TypeError, match=f"{parameter.name}: "):
                call(name, **good | {parameter.name: wrong})
        with pytest.raises(ValueError, match=f"{parameter.name}: {len(array)} numbers are wanted"):
            call(name, **good | {parameter.name: array[1:]})
        if not parameter.optional:
            with pytest.raises(TypeError, match=f"{parameter.name}: "):
                call(name, **good | {parameter.name: None})


@every_kernel
def test_sizes_numbers_and_layers_of_another_kind(name: str, signature: Any) -> None:
    good = arguments(signature)
    for parameter in of_kind(signature, SizeParameter):
        for wrong in (1.0, True, None):
            with pytest.raises(TypeError, match=f"{parameter.name}: a whole number"):
                call(name, **good | {parameter.name: wrong})
        with pytest.raises(ValueError, match="-1 is below 0"):
            call(name, **good | {parameter.name: -1})
    for parameter in of_kind(signature, NumberParameter):
        with pytest.raises(TypeError, match=f"{parameter.name}: a float"):
            call(name, **good | {parameter.name: 1})
    for parameter in of_kind(signature, LayerParameter):
        with pytest.raises(TypeError, match=f"{parameter.name}: a layer's"):
            call(name, **good | {parameter.name: torch.zeros(9)})
        with pytest.raises(ValueError, match=f"{parameter.name}: a layer of"):
            call(name, **good | {parameter.name: layer(parameter, 1)})


def test_layers_whose_arrays_are_not_as_c_takes_them() -> None:
    part = small_stack().linear("classifier")
    arrays = [part.weight, part.bias, part.weight_gradient, part.bias_gradient]
    LayerParameters(*arrays)
    for number, array in enumerate(arrays):
        for wrong in (array.double(), array.to(torch.bfloat16)):
            with pytest.raises(TypeError, match="float32 is wanted"):
                LayerParameters(*arrays[:number], wrong, *arrays[number + 1 :])
    with pytest.raises(TypeError, match="contiguous"):
        LayerParameters(part.weight.mT, *arrays[1:])
    with pytest.raises(ValueError, match="gradient"):
        LayerParameters(*arrays[:2], part.weight_gradient[:1], part.bias_gradient)


def test_rows_beyond_a_table_are_refused_in_c() -> None:
    for name in ("embed", "embed_backward", "rows_caught_up_f32", "rows_step_f32"):
        _, signature = next(iter(table()[name].functions.values()))
        good = arguments(signature)
        which = "places" if "places" in good else "rows"
        for row in (-1, SIZES["words"]):
            rows = good[which].clone()
            rows[-1] = row
            with pytest.raises(IndexError, match="not of a table of 11"):
                call(name, **good | {which: rows})


def test_what_a_line_of_the_table_says() -> None:
    (entry,) = read_table("TWICE name: READ(ACTIVATION, a, n, 2 * m), SIZE(n), SIZE(m)")
    assert entry.activations == "a"
    assert [c_name for c_name, _ in entry.functions.values()] == ["name_f32", "name_bf16"]
    array, *sizes = entry.functions[torch.bfloat16][1].parameters
    assert isinstance(array, ArrayParameter)
    assert array.dtype == torch.bfloat16
    assert array.count.among({"n": 3, "m": 5}) == 30
    assert [size.name for size in sizes] == ["n", "m"]
