"""What is said of a folder, or a path, that is not a model's."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from fedseed.errors import ConfigError
from fedseed.models.published import model_folder, read_config, tokenizer_file
from fedseed.models.weight_files import stored_tensors
from tests.models.folders import config, make_folder

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_a_file_of_a_folder(tmp_path: Path, file: str) -> None:
    name = make_folder(tmp_path / "a b")
    with pytest.raises(ConfigError, match=f"is a file: give its folder, --model '{name}'"):
        model_folder(f"{name}/{file}")


@pytest.mark.parametrize("name", ["./nope", "/nope", "~/nope", "a/b/c"])
def test_no_such_folder(name: str) -> None:
    with pytest.raises(ConfigError, match="there is no such folder"):
        model_folder(name)


@pytest.mark.parametrize(
    ("folders", "inner"),
    [
        (["checkpoint-500", "checkpoint-1000"], "checkpoint-1000"),
        (["snapshots/abc", "snapshots/abd"], "snapshots/abd"),
        (["0_Transformer"], "0_Transformer"),
    ],
)
def test_the_folder_inside_is_named(tmp_path: Path, folders: list[str], inner: str) -> None:
    for folder in folders:
        (tmp_path / folder).parent.mkdir(exist_ok=True)
        make_folder(tmp_path / folder)
    if "snapshots" in inner:
        (tmp_path / "refs").mkdir()
        (tmp_path / "refs" / "main").write_text("abd")
    with pytest.raises(ConfigError, match=f"holds one: give --model {tmp_path}/{inner}$"):
        read_config(str(tmp_path))


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_pointers_of_git(tmp_path: Path, file: str) -> None:
    name = make_folder(tmp_path)
    (tmp_path / file).write_text(LFS)
    read = {"config.json": read_config, "tokenizer.json": tokenizer_file}.get(file, stored_tensors)
    with pytest.raises(ConfigError, match=rf"{file} is a pointer of Git LFS.*git lfs pull"):
        read(name)


@pytest.mark.parametrize("how", ["link", "folder"])
def test_weights_that_are_no_file(tmp_path: Path, how: str) -> None:
    name = make_folder(tmp_path, {})
    if how == "link":
        (tmp_path / "model.safetensors").symlink_to(tmp_path / "nothing")
    else:
        (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(ConfigError, match=r"lacks weights in safetensors: model.safetensors is no"):
        stored_tensors(name)


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("model.onnx", r"model\.onnx is pickled or of another library.*load it in the program"),
        ("model.gguf", r"model\.gguf is pickled or of another library.*load it in the program"),
        ("vocab.txt", "copy or download them"),
    ],
)
def test_weights_of_others_and_none(tmp_path: Path, file: str, says: str) -> None:
    name = make_folder(tmp_path, {})
    (tmp_path / file).write_text("x")
    with pytest.raises(ConfigError, match=says):
        stored_tensors(name)


def test_an_adapter_beside_its_model(tmp_path: Path) -> None:
    name = make_folder(tmp_path)
    save_file({"x": np.ones(1, np.float32)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ConfigError, match=r"an adapter beside its weights.*merge_and_unload"):
        stored_tensors(name)


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (None, r"lacks tokenizer\.json: copy the tokenizer\.json that belongs"),
        ("vocab.txt", r"lacks tokenizer\.json: python -c .*T\.from_pretrained"),
        ("spiece.model", r"pip install sentencepiece, and python -c .*T\.from_pretrained"),
    ],
)
def test_a_tokenizer_by_what_is_there(tmp_path: Path, file: str | None, says: str) -> None:
    name = make_folder(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    if file:
        (tmp_path / file).write_text("x")
    with pytest.raises(ConfigError, match=says):
        tokenizer_file(name)


def test_the_printed_line_is_read_by_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / 'it\'s "q" $HOME'
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config()))
    for file in ("pytorch_model.bin", "vocab.txt"):
        (folder / file).write_text("x")
    for name in (str(folder), f"~/{folder.name}"):
        with pytest.raises(ConfigError) as caught:
            tokenizer_file(name)
        line = str(caught.value)
        code = shlex.split(line[line.index("python -c") :])[2]
        scope = {"M": Saved(), "T": Saved()}
        exec(code.partition("; ")[2], scope)  # it is what the message says to run
        assert set(scope["M"].places + scope["T"].places) == {str(folder)}


class Saved:
    """Stands in for a class of transformers."""

    def __init__(self) -> None:
        self.places: list[str] = []

    def from_pretrained(self, place: str) -> "Saved":
        self.places.append(place)
        return self

    def save_pretrained(self, place: str) -> None:
        self.places.append(place)
