"""Weight files: which .safetensors files of a model's folder are read, and what is in them."""

import functools
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedseed.errors import ConfigError, first_line, one_line
from fedseed.files import read_json
from fedseed.models.advice import refuse_pointer
from fedseed.models.published import incomplete, model_folder, read_config

if TYPE_CHECKING:
    from torch import Tensor

_WHOLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_ADAPTER = "adapter_model.safetensors"
"""What PEFT saves: differences to a model that is elsewhere."""
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors")
_FLOATS = frozenset({"F64", "F32", "F16", "BF16"})


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as the header of its file describes it."""

    file: Path
    dtype: str
    """safetensors' word, such as ``F16``."""
    shape: tuple[int, ...]

    @property
    def is_float(self) -> bool:
        """Whether its numbers can be taken as float32 one by one."""
        return self.dtype in _FLOATS


Stored = Mapping[str, StoredTensor]


def weight_files(name: str) -> list[Path]:
    """The files that hold a model's weights, in order of their names.

    ``model.safetensors`` where there is one; else the shards that the index names; else the one
    file, or the whole set of shards, that the folder has. Others are never mixed in.

    Args:
        name: ``minilm``, a folder, or an id on the hub.

    Raises:
        ConfigError: there are none, a shard is missing, or it is not clear which are meant.
    """
    folder = model_folder(name)
    if (folder / _ADAPTER).is_file() and (folder / _WHOLE).is_file():
        raise ConfigError(
            f"{name} holds an adapter beside its weights ({_ADAPTER}): merge it "
            "(merge_and_unload()) and save the model, or take it out of the folder"
        )
    if (folder / _WHOLE).is_file():
        return [folder / _WHOLE]
    if (folder / _INDEX).is_file():
        shards = sorted(set(_weight_map(name).values()))
        _refuse_missing(name, shards)
        return [folder / shard for shard in shards]
    files = sorted(path for path in folder.glob("*.safetensors") if path.is_file())
    files = [path for path in files if path.name != _ADAPTER]
    if not files:
        raise ConfigError(incomplete(name))
    _refuse_doubt(name, [path.name for path in files])
    return files


def _weight_map(name: str) -> dict[str, str]:
    """The index of a model's shards: the file of every tensor."""
    index = read_json(model_folder(name) / _INDEX, f"the {_INDEX} of {name}", ConfigError)
    shards = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shards, dict) or not shards:
        raise ConfigError(f"the {_INDEX} of {name} has no weight_map: save the model again")
    for shard in shards.values():
        if not isinstance(shard, str) or not re.fullmatch(r"[\w.\-]+\.safetensors", shard):
            raise ConfigError(
                f"the {_INDEX} of {name} names a file that is no .safetensors file of the same "
                "folder: save the model again"
            )
    return shards


def _refuse_missing(name: str, shards: list[str]) -> None:
    missing = [shard for shard in shards if not (model_folder(name) / shard).is_file()]
    if missing:
        raise ConfigError(
            f"{name} lacks {missing[0]} ({len(missing)} of {len(shards)} shards): copy or "
            "download the whole folder again"
        )


def _refuse_doubt(name: str, files: list[str]) -> None:
    """Refuse files that are neither one whole model nor one whole set of shards."""
    parts = [_SHARD.fullmatch(file) for file in files]
    first = parts[0]
    if first is not None and all(part and part[1] == first[1] for part in parts):
        count = int(first[3])
        if count > 100_000 or any(part and part[3] != first[3] for part in parts):
            raise ConfigError(f"{name} has shards of several models: leave one set in the folder")
        numbers = range(1, min(count, len(files) + 1) + 1)
        _refuse_missing(name, [f"{first[1]}-{n:05}-of-{first[3]}.safetensors" for n in numbers])
    elif len(files) > 1:
        raise ConfigError(
            f"{name} has {len(files)} .safetensors files, and neither {_WHOLE} nor {_INDEX} says "
            "which are meant: leave one in the folder, or save the model again"
        )


@functools.cache
def published_digest(name: str) -> bytes:
    """sha256 over the weight files of a model, 32 bytes.

    Raises:
        ConfigError: the model or its weights cannot be found.
    """
    whole = hashlib.sha256()
    try:
        for path in weight_files(name):
            with path.open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise ConfigError(f"the weights of {name} cannot be read: {error.strerror}") from error
    return whole.digest()


def stored_tensors(name: str) -> dict[str, StoredTensor]:
    """All tensors in a model's weight files, by the names that they have there.

    Only the headers are read.

    Raises:
        ConfigError: a file cannot be read, a tensor stands in two files or in another than the
            index says, or the weights are quantised.
    """
    if read_config(name).get("quantization_config"):
        raise ConfigError(
            f"the weights of {name} are quantised (quantization_config in its config.json): give "
            "the model that they were made of"
        )
    files = weight_files(name)
    stored = headers(files, f"the weights of {name}")
    if files[0].name != _WHOLE and (model_folder(name) / _INDEX).is_file():
        for tensor, shard in _weight_map(name).items():
            if tensor not in stored or stored[tensor].file.name != shard:
                raise ConfigError(
                    f"{shard} of {name} lacks {one_line(tensor)}, which its index names: copy or "
                    "download the whole folder again"
                )
    return stored


def headers(files: Iterable[Path], what: str) -> dict[str, StoredTensor]:
    """Tensors of some .safetensors files by name.

    Args:
        files: the files.
        what: what they hold, for the message.

    Raises:
        ConfigError: a file cannot be read, a tensor stands in two, or one is quantised.
    """
    stored: dict[str, StoredTensor] = {}
    for path in files:
        with _opened(path, what) as file:
            for tensor in file.keys():  # noqa: SIM118  # it cannot be iterated
                if tensor in stored:
                    raise ConfigError(
                        f"{what}: {one_line(tensor)} stands in {stored[tensor].file.name} and in "
                        f"{path.name}: leave one set of weights in the folder"
                    )
                part = file.get_slice(tensor)
                stored[tensor] = StoredTensor(path, part.get_dtype(), tuple(part.get_shape()))
                _refuse_quantised(what, tensor, stored[tensor])
    return stored


def _refuse_quantised(what: str, tensor: str, stored: StoredTensor) -> None:
    """Refuse weights in whole numbers or 8-bit floats; buffers such as position ids are none."""
    vector = tensor.endswith("bias") and len(stored.shape) == 1
    weights = vector or tensor.endswith(("weight", "gamma", "beta"))
    if tensor.endswith((".qweight", ".qzeros")) or (weights and not stored.is_float):
        raise ConfigError(
            f"{what}: {one_line(tensor)} is quantised or of no real numbers ({stored.dtype}): give "
            "weights in fp32, fp16 or bf16"
        )


def read_tensors(stored: Stored, names: Iterable[str], what: str) -> "dict[str, Tensor]":
    """Some tensors as float32.

    Args:
        stored: what :func:`headers` found.
        names: which of them; every one of floating point.
        what: what the files hold, for the message.

    Raises:
        ConfigError: a file cannot be read.
    """
    by_file: dict[Path, list[str]] = {}
    for tensor in names:
        by_file.setdefault(stored[tensor].file, []).append(tensor)
    tensors: dict[str, Tensor] = {}
    for path, wanted in by_file.items():
        with _opened(path, what) as file:
            tensors |= {tensor: file.get_tensor(tensor).float() for tensor in wanted}
    return tensors


@contextmanager
def _opened(path: Path, what: str) -> Iterator[Any]:
    """An open .safetensors file; the library checks its header against the file's size."""
    from safetensors import SafetensorError, safe_open

    refuse_pointer(path, what)
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError, ValueError) as error:
        raise ConfigError(
            f"{what} cannot be read ({path.name}: {first_line(error)}): copy or download it again"
        ) from error
