"""Taking: every tensor of an architecture from the weight files of a published model.

Under its current or an old name, in the shape that the architecture has. Nothing but a
classification head may be left to be drawn at random; all else that is missing is refused.
"""

import functools
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from fedseed.errors import ConfigError, SeedError, one_line
from fedseed.models.architecture import Architecture, Shapes, State
from fedseed.models.causal import CausalModel
from fedseed.models.config_file import other_task
from fedseed.models.hugging_face import load, try_out
from fedseed.models.published import architectures, how_to_take_body
from fedseed.models.registry import GenericModel, Model
from fedseed.models.tensor_names import named_as_today, refuse_surplus, unwrapped
from fedseed.models.weight_files import Stored, StoredTensor, read_tensors, stored_tensors

_SPARE = 50_000_000
"""Numbers beyond those in the files that a model may have: a head is far smaller."""
IsHead = Callable[[str], bool]

_LARGEST = 1e9
"""Of any weight; trained ones stay below 1e4."""


class Published(NamedTuple):
    """What the files of a published model give to an architecture."""

    weights: State
    """In the architecture's names and order, float32, finite; without the drawn ones."""
    drawn: tuple[str, ...]
    """Tensors of the classification head that the files lack, to be drawn."""
    depends_on_padding: bool = False
    """Whether its answer on a text changes with the padding behind the text."""


def published_weights(model: Model) -> Published:
    """Take the weights of a published model from its files.

    Raises:
        ConfigError: the files cannot be found or read, or a tensor that belongs to no
            classification head is missing or has another shape.
        SeedError: a tensor holds NaN or infinity, or the head in the files is of another number
            of classes.
    """
    stored = stored_tensors(model.name)
    if not isinstance(model, Architecture):
        return _by_transformers(model, stored)
    sources, drawn = _lean_sources(model, stored)
    tensors = read_tensors(stored, sources.values(), f"the weights of {model.name}")
    weights = {wanted: tensors[source].numpy() for wanted, source in sources.items()}
    return Published(_finite(model.name, weights), drawn)


def drawn_parts(model: Model) -> tuple[str, ...]:
    """Tensors of the classification head that a published model lacks, to be drawn at random.

    Raises:
        ConfigError, SeedError: see :func:`published_weights`.
    """
    return looked_at(model).drawn


@functools.cache
def looked_at(model: Model) -> Published:
    """What :func:`published_weights` gives, less the weights; found once.

    Raises:
        ConfigError, SeedError: see there.
    """
    if isinstance(model, Architecture):
        return Published({}, _lean_sources(model, stored_tensors(model.name))[1])
    return published_weights(model)._replace(weights={})


def final_layer(shapes: Shapes) -> tuple[str, ...]:
    """The tensors of the layer that gives the classes: a classifier's last beside its body.

    The body is what most names begin with; in some models it comes after the head.
    """
    beginnings = Counter(name.partition(".")[0] for name in shapes)
    body = beginnings.most_common(1)[0][0]
    beside = [name for name in shapes if name.partition(".")[0] != body] or list(shapes)
    layer = beside[-1].rpartition(".")[0]
    return tuple(name for name in shapes if name.rpartition(".")[0] == layer)


def _finite(model: str, weights: State) -> State:
    for name, values in weights.items():
        if not np.isfinite(values).all():
            raise SeedError(
                f"the weights of {model}: {name} holds NaN or infinity: copy or download them again"
            )
        if values.size and float(np.abs(values).max()) > _LARGEST:
            raise SeedError(
                f"the weights of {model}: {name} holds a number above {_LARGEST:.0e}, whose "
                "products are infinite: copy or download them again"
            )
    return weights


def lean_names(stored: Stored, shapes: Shapes, what: str) -> dict[str, str]:
    """Where each tensor of a BERT classifier stands in some files: its name there by its own.

    Args:
        stored: the tensors in the files.
        shapes: of the architecture.
        what: what the files hold, for the message.

    Raises:
        ConfigError: a tensor stands there under two names.
    """
    plain = unwrapped(stored, shapes)
    sources: dict[str, str] = {}
    for bare, in_file in plain.items():
        now = named_as_today(bare)
        wanted = now if now in shapes else f"bert.{now}"
        if wanted in sources:
            raise ConfigError(
                f"{what} have {wanted} twice, as {one_line(sources[wanted])} and "
                f"{one_line(in_file)}: save them again"
            )
        if wanted in shapes:
            sources[wanted] = in_file
    return {wanted: sources[wanted] for wanted in shapes if wanted in sources}


def _lean_sources(model: Architecture, stored: Stored) -> tuple[dict[str, str], tuple[str, ...]]:
    """Where each tensor stands, and those that are to be drawn."""
    shapes = model.shapes()
    sources = lean_names(stored, shapes, f"the weights of {model.name}")
    bare = {n for n, file in unwrapped(stored, shapes).items() if file not in sources.values()}
    refuse_surplus(model.name, bare | {f"bert.{name}" for name in bare}, shapes)
    if other_task(model.name):
        sources = {n: file for n, file in sources.items() if not n.startswith("classifier.")}
    found = {wanted: stored[source] for wanted, source in sources.items()}
    return sources, _drawn(
        model, shapes, found, lambda name: name.startswith(("bert.pooler.", "classifier."))
    )


def _drawn(
    model: Model, shapes: Shapes, found: Mapping[str, StoredTensor | tuple[int, ...]],
    is_head: IsHead,
) -> tuple[str, ...]:  # fmt: skip
    """The tensors that files lack, if they are a whole part of a head.

    A pooler counts as one: a body that was trained on masked words alone has none, and a
    classifier is trained on what a new one gives. A classifier without the pooler that it was
    trained on is refused, and so is half of a part.
    """
    missing = [name for name in shapes if name not in found]
    body = [name for name in missing if not is_head(name)]
    kept = {_part(name) for name in found if is_head(name)}
    torn = [name for name in missing if _part(name) in kept]
    final = final_layer(shapes)
    if not body and not torn and missing and all(name in found for name in final):
        torn = missing
    if body or torn:
        lost = body or torn
        more = f" (and {len(lost) - 1} more tensors)" if lost[1:] else ""
        made_for = one_line(architectures(model.name), 60)
        of = f", as they are of a {made_for}" if made_for else ""
        raise ConfigError(
            f"the weights of {model.name} lack {lost[0]}{more}{of}: copy or download the model "
            "again, or give another"
        )
    for name, part in found.items():
        shape = part.shape if isinstance(part, StoredTensor) else part
        if shape != shapes[name]:
            _refuse_shape(model, name, shape, shapes[name], name in final)
    return tuple(missing)


def _part(name: str) -> str:
    """The part of a head that a tensor belongs to, such as ``classifier`` or ``bert.pooler``."""
    before, pooler, _ = name.partition("pooler.")
    return before + pooler if pooler else name.partition(".")[0]


def _refuse_shape(
    model: Model, name: str, shape: tuple[int, ...], wanted: tuple[int, ...], final: bool
) -> None:
    if final and len(shape) == len(wanted) and shape[1:] == wanted[1:]:
        raise SeedError(
            f"the head of {model.name} has another number of classes, {shape[0]} instead of "
            f"{wanted[0]}: give data of its classes, or take its body: "
            f"{how_to_take_body(model.name)}"
        )
    raise ConfigError(
        f"the weights of {model.name}: {name} has shape {shape}, not {wanted}: give a folder whose "
        "config.json and weights belong together"
    )


def _by_transformers(model: GenericModel | CausalModel, stored: Stored) -> Published:
    """Have transformers find the tensors: it knows the old names of every architecture."""
    with torch.device("meta"):
        module = model.module()
    shapes = {name: tuple(part.shape) for name, part in module.named_parameters()}
    size = sum(part.numel() for part in module.parameters())
    numbers = sum(int(np.prod(part.shape, dtype=np.float64)) for part in stored.values())
    if size > 2 * numbers + _SPARE:
        raise ConfigError(
            f"the weights of {model.name} are {numbers:,} numbers, its config.json describes "
            f"{size:,}: give a folder whose parts belong together"
        )
    names = unwrapped({n: part for n, part in stored.items() if part.is_float}, shapes)
    kind, config = model.kind(), model.config()
    body = f"{getattr(kind, 'base_model_prefix', '')}."
    if other_task(model.name) and any(name.startswith(body) for name in names):
        names = {name: file for name, file in names.items() if name.startswith(body)}
    read = read_tensors(stored, names.values(), f"the weights of {model.name}")
    loaded, report = load(model.name, kind, config, {now: read[n] for now, n in names.items()})
    unused = set(report["unexpected_keys"])
    refuse_surplus(model.name, unused | {f"{body}{name}" for name in unused}, shapes)
    values = {name: part for name, part in loaded.named_parameters() if name in shapes}
    found = {name: tuple(part.shape) for name, part in values.items()}
    found |= {name: tuple(shape) for name, shape, _ in report["mismatched_keys"] if name in shapes}
    found = {name: shape for name, shape in found.items() if name not in report["missing_keys"]}
    drawn = _drawn(model, shapes, found, _head_of(model, loaded))
    weights = {n: values[n].detach().numpy() for n in shapes if n not in drawn}
    _finite(model.name, weights)
    if isinstance(model, CausalModel):
        return Published(weights, drawn)
    return Published(weights, drawn, try_out(model.name, loaded, model.labels))


def _head_of(model: Model, module: Any) -> IsHead:
    """What is beside the body in one of the library's classifiers; no part of a language model."""
    body = f"{module.base_model_prefix}."

    def is_head(name: str) -> bool:
        beside = not name.startswith(body) or ".pooler." in name
        return isinstance(model, GenericModel) and beside

    return is_head
