"""Advice: what is wrong with a folder that somebody gave as a model's, and the next step."""

import json
import os
import shlex
from pathlib import Path

from fedseed.errors import ConfigError, one_line

_POINTER = b"version https://git-lfs"
_NOT_READ = (
    ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".pkl", ".onnx", ".gguf", ".ot",
)  # fmt: skip
"""Endings of files with weights that are not read."""
_WORDS = ("vocab.txt", "merges.txt")
"""Files from which transformers makes a tokenizer.json by itself."""
_PIECES = ("spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "spm.model")
"""Files for which it needs a further package."""
_PARTS = ("config.json", "tokenizer.json", "model.safetensors")


def refuse_place(name: str) -> None:
    """Refuse a path at which there is no folder; an id on the hub is none.

    Raises:
        ConfigError: it is a file, or nothing is there.
    """
    path = Path(os.path.expanduser(name))
    if os.path.isfile(path):
        raise ConfigError(f"{name} is a file: give its folder, --model {_in_shell(path.parent)}")
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ConfigError(
            f"unknown model '{one_line(name)}': there is no such folder, and it is no id on the "
            "hub; use --model bert-tiny"
        )


def refuse_pointer(path: Path, name: str) -> None:
    """Refuse a file in whose place Git has left a note of where it is.

    Args:
        path: the file.
        name: its model.

    Raises:
        ConfigError: see there.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(len(_POINTER))
    except OSError:  # whoever reads it says why
        return
    if beginning == _POINTER:
        raise ConfigError(
            f"{name}: {path.name} is a pointer of Git LFS, not the file: run git lfs pull there"
        )


def lacking(name: str, folder: Path, is_saved_from: str) -> str:
    """What a model's folder lacks, all of it, and how to make it, in one line.

    Args:
        name: the model.
        folder: its folder.
        is_saved_from: the class of transformers that loads it, such as ``AutoModel``.
    """
    files = {path.name for path in folder.iterdir() if path.is_file()}
    inner = None if "config.json" in files else inner_folder(folder)
    if inner is not None:
        return f"{name} is no model's folder, but holds one: give --model {_in_shell(inner)}"
    lacks = [part for part in _PARTS[:2] if part not in files]
    others = sorted(file for file in files if file.endswith(_NOT_READ))
    if not any(file.endswith((".safetensors", ".safetensors.index.json")) for file in files):
        never = f" ({others[0]} is pickled or of another library: never read)" if others else ""
        lacks.append(f"weights in safetensors{never}")
    elif "adapter_model.safetensors" in files:
        lacks.append("whole weights (an adapter is none: merge_and_unload() and save the model)")
    broken = [part for part in _PARTS if part not in files and os.path.lexists(folder / part)]
    if broken:
        step = f"{broken[0]} is no file, or a link to nothing: copy or download it again"
    elif "config.json" in lacks:
        step = "copy the files that belong to it, or save the model with save_pretrained"
    elif others and not any(file.startswith("pytorch_model") for file in others):
        step = "load it in the program that made it, and save it with save_pretrained"
    else:
        step = _how_to_complete(name, folder, is_saved_from, files)
    return f"{name} lacks {', '.join(lacks)}: {step}"


def _how_to_complete(name: str, folder: Path, is_saved_from: str, files: set[str]) -> str:
    """The step where transformers can make what is lacking, or a part of it."""
    target = name if os.path.isdir(folder) and os.path.isdir(os.path.expanduser(name)) else None
    has_pieces = any(part in files for part in _PIECES)
    with_tokenizer = "tokenizer.json" in files or has_pieces or any(w in files for w in _WORDS)
    copy = "copy the tokenizer.json that belongs to it into the folder"
    if not any(file.endswith((".safetensors", *_NOT_READ)) for file in files):
        return "copy or download them from where the model came from"
    if not with_tokenizer and any(file.endswith(".safetensors") for file in files):
        return copy
    line = saving_line(name, target or Path(name).name, is_saved_from, with_tokenizer)
    if not with_tokenizer:
        return f"{copy}, and {line}"
    return f"pip install sentencepiece, and {line}" if has_pieces else line


def inner_folder(folder: Path) -> Path | None:
    """The model's folder in a folder of the hub's cache, of a training's checkpoints or others.

    The revision that the cache calls main, the last checkpoint, else the first by name.
    """
    try:
        files = [path for depth in ("*", "*/*") for path in folder.glob(f"{depth}/config.json")]
    except OSError:  # folders that go while they are looked at
        return None
    found = [path.parent for path in files]
    if not found:
        return None
    main = folder / "refs" / "main"
    if main.is_file() and folder / "snapshots" / main.read_text().strip() in found:
        return folder / "snapshots" / main.read_text().strip()
    steps = {int(number): path for path in found if (number := _step(path)).isdecimal()}
    return steps[max(steps)] if steps else min(found)


def _step(path: Path) -> str:
    return path.name.removeprefix("checkpoint-")[:18]


def saving_line(name: str, target: str, is_saved_from: str, with_tokenizer: bool = True) -> str:
    """The Python line that saves a model as it is read here, for a shell.

    Args:
        name: a folder or an id on the hub.
        target: the folder to save it in.
        is_saved_from: the class of transformers that loads it.
        with_tokenizer: whether its tokenizer can be had from there.
    """
    source, into = _in_python(name), _in_python(target)
    code = f"from transformers import {is_saved_from} as M"
    code += ", AutoTokenizer as T" if with_tokenizer else ""
    code += f"; M.from_pretrained({source}).save_pretrained({into})"
    code += f"; T.from_pretrained({source}).save_pretrained({into})" if with_tokenizer else ""
    further = "" if target == name else f", then --model {_in_shell(target)}"
    return f"python -c {shlex.quote(code)}{further}"


def _in_python(name: str) -> str:
    """A path or id as a literal in double quotes, which a shell leaves alone in single ones."""
    return json.dumps(os.path.expanduser(name), ensure_ascii=False)


def _in_shell(path: str | Path) -> str:
    return shlex.quote(str(path))
