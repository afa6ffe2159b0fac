"""The table of signatures.inc, read back from the compiled library: what each kernel is given.

A call passes arguments by name, and each is compared with the table before C gets it: C would read
and write wherever it is told to.
"""

import ctypes
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

_TYPES = {"float": torch.float32, "bf16": torch.bfloat16, "int64_t": torch.int64}


class LayerParameters:
    """A linear layer's or a layer norm's parameters and gradients, as a struct of addresses."""

    def __init__(
        self, weight: Tensor, bias: Tensor, weight_gradient: Tensor, bias_gradient: Tensor
    ) -> None:
        """Take arrays that stay where they are.

        Args:
            weight: fp32, one row for each output.
            bias: fp32.
            weight_gradient: fp32, as many numbers as the weight.
            bias_gradient: fp32, as many as the bias.

        Raises:
            TypeError: an array is not fp32, not on the CPU or not contiguous.
            ValueError: a gradient is not of its parameter's size.
        """
        self._arrays = weight, bias, weight_gradient, bias_gradient  # alive with their addresses
        for array in self._arrays:
            _check(array, torch.float32, 0)
        addresses = [array.data_ptr() for array in self._arrays]
        self._pointers = (ctypes.c_void_p * len(addresses))(*addresses)
        self.address = ctypes.addressof(self._pointers)
        self.sizes = weight.numel(), bias.numel()
        """Numbers in the weight and in the bias."""
        if (weight_gradient.numel(), bias_gradient.numel()) != self.sizes:
            raise ValueError("a gradient is not of its parameter's size")

    def __reduce__(self) -> tuple[type["LayerParameters"], tuple[Tensor, ...]]:
        """For a copy: the addresses of the copied arrays."""
        return LayerParameters, self._arrays


Argument = Tensor | LayerParameters | int | float | None
Sizes = Mapping[str, int]


def _check(array: Argument, dtype: torch.dtype, count: int) -> None:
    """Refuse what is no array of a type with at least so many numbers."""
    if not isinstance(array, Tensor) or array.dtype is not dtype:
        kind = array.dtype if isinstance(array, Tensor) else type(array).__name__
        raise TypeError(f"an array of {dtype} is wanted, not {kind}")
    if not (array.is_cpu and array.is_contiguous()):
        raise TypeError("a contiguous array on the CPU is wanted")
    if array.numel() < count:
        raise ValueError(f"{count} numbers are wanted, not {array.numel()}")


class Count:
    """The product of some sizes and whole numbers, such as ``3 * heads * features``."""

    def __init__(self, text: str) -> None:
        factors = re.findall(r"\w+", text)
        self._constant = math.prod(int(factor) for factor in factors if factor.isdigit())
        self._names = tuple(factor for factor in factors if not factor.isdigit())

    def among(self, sizes: Sizes) -> int:
        """The product in a call."""
        count = self._constant
        for name in self._names:
            count *= sizes[name]
        return count


class Parameter(ABC):
    """One parameter of a kernel."""

    c_type: ClassVar[type] = ctypes.c_void_p

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def value(self, argument: Argument, sizes: Sizes, /) -> int | float | None:
        """What C gets for an argument.

        Args:
            argument: what the caller gives.
            sizes: all sizes of the call.

        Raises:
            TypeError: it is of another kind or type than the table says.
            ValueError: it has fewer numbers, or is below 0.
        """


class ArrayParameter(Parameter):
    """An array with at least as many numbers as the product of its sizes."""

    def __init__(self, dtype: str, name: str, *sizes: str, optional: bool = False) -> None:
        super().__init__(name)
        self.dtype = _TYPES[dtype]
        self.optional = optional
        """Whether it may be None."""
        self.count = Count("*".join(sizes))

    def value(self, argument: Argument, sizes: Sizes, /) -> int | None:
        """See Parameter: the array's address."""
        count = self.count.among(sizes)
        if (  # what _check asks, without the time of one more call
            isinstance(argument, Tensor)
            and argument.dtype is self.dtype
            and argument.is_cpu
            and argument.is_contiguous()
            and argument.numel() >= count
        ):
            return argument.data_ptr()
        if argument is not None or not self.optional:
            _check(argument, self.dtype, count)
        return None


class LayerParameter(Parameter):
    """The parameters of a linear layer, or of a layer norm."""

    def __init__(self, name: str, outputs: str, inputs: str = "1") -> None:
        super().__init__(name)
        self.weight, self.bias = Count(f"{outputs} * {inputs}"), Count(outputs)

    def value(self, argument: Argument, sizes: Sizes, /) -> int:
        """See Parameter: the struct's address."""
        if not isinstance(argument, LayerParameters):
            raise TypeError(f"a layer's parameters are wanted, not {type(argument).__name__}")
        wanted = self.weight.among(sizes), self.bias.among(sizes)
        if argument.sizes != wanted:
            raise ValueError(f"a layer of {wanted} numbers is wanted, not of {argument.sizes}")
        return argument.address


class SizeParameter(Parameter):
    """A number of things."""

    c_type = ctypes.c_ssize_t

    def value(self, argument: Argument, _: Sizes, /) -> int:
        """See Parameter."""
        if type(argument) is not int:
            raise TypeError(f"a whole number is wanted, not {type(argument).__name__}")
        if argument < 0:
            raise ValueError(f"{argument} is below 0")
        return argument


class NumberParameter(Parameter):
    """A number in fp32."""

    c_type = ctypes.c_float

    def value(self, argument: Argument, _: Sizes, /) -> float:
        """See Parameter."""
        if not isinstance(argument, float):
            raise TypeError(f"a float is wanted, not {type(argument).__name__}")
        return argument


def _parameter(kind: str, fields: Sequence[str]) -> Parameter:
    """One parameter from the table's words."""
    if kind in ("LINEAR", "NORM"):
        return LayerParameter(*fields)
    if kind in ("SIZE", "NUMBER"):
        return (SizeParameter if kind == "SIZE" else NumberParameter)(*fields)
    return ArrayParameter(*fields, optional=kind.startswith("OPTIONAL"))


class Signature:
    """What one compiled function is given, in C's order."""

    def __init__(self, text: str) -> None:
        """Read it.

        Args:
            text: for example ``READ(float, part, count), SIZE(count)``.
        """
        items = re.findall(r"(\w+)\(([^()]*)\)", text)
        self.parameters = [_parameter(kind, re.split(r",\s*", inside)) for kind, inside in items]
        self._sizes = [one for one in self.parameters if isinstance(one, SizeParameter)]

    def values(self, arguments: Mapping[str, Argument]) -> list[int | float | None]:
        """What C gets for the arguments of a call, by name.

        Raises:
            TypeError: an argument is missing, is not in the table, or is of another kind or type.
            ValueError: an array is too short, or a size below 0.
        """
        name = ""
        try:
            sizes: dict[str, int] = {}
            for size in self._sizes:
                name = size.name
                sizes[name] = size.value(arguments[name], sizes)
            values = []
            for parameter in self.parameters:
                name = parameter.name
                values.append(parameter.value(arguments[name], sizes))
        except KeyError:
            raise TypeError(f"{name} is missing") from None
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from None
        if len(arguments) > len(values):
            unknown = set(arguments) - {parameter.name for parameter in self.parameters}
            raise TypeError(f"{', '.join(sorted(unknown))}: not in the table")
        return values


class Entry:
    """A line of the table: one function, or one for each type of activations."""

    def __init__(self, line: str) -> None:
        """Read it.

        Args:
            line: ``ONCE NAME: PARAMETERS`` or ``TWICE NAME: PARAMETERS``.
        """
        how, self.name, parameters = re.split(r":? ", line, maxsplit=2)
        self.activations: str | None = None
        """The array whose type decides between two functions."""
        self.functions: dict[torch.dtype | None, tuple[str, Signature]] = {}
        """Name and signature of each function by that array's type; by None if there is one."""
        if how == "ONCE":
            self.functions[None] = self.name, Signature(parameters)
            return
        for c_type, suffix in (("float", "f32"), ("bf16", "bf16")):
            signature = Signature(parameters.replace("ACTIVATION", c_type))
            self.functions[_TYPES[c_type]] = f"{self.name}_{suffix}", signature
        self.activations = re.findall(r"ACTIVATION, (\w+)", parameters)[0]

    def form(self, arguments: Mapping[str, Argument]) -> torch.dtype | None:
        """Which of the functions some arguments are for.

        Raises:
            TypeError: the activations are missing, or of another type.
        """
        if self.activations is None:
            return None
        dtype = getattr(arguments.get(self.activations), "dtype", None)
        if dtype not in self.functions:
            raise TypeError(f"{self.activations}: activations in fp32 or bf16 are wanted")
        return dtype


def read_table(text: str) -> list[Entry]:
    """The table of a library, as its function ``signatures`` returns it."""
    return [Entry(line) for line in text.splitlines()]
