"""Published models that are damaged at random: read, or refused in one line, nothing else.

python benchmarks/mutations_models.py --count 30000
"""

import collections
import json
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for benchmarks itself

from fedseed.cli.exit_status import run_main
from fedseed.errors import InputError, RunError
from fedseed.models import head, registry, taking
from fedseed.models.architecture import Architecture
from fedseed.models.hugging_face import quiet
from fedseed.randomness import generator
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.pretrained import pretrained_seed

CLASSES = ("bad", "fair", "good")
_NAMES = {"0": "good", "1": "bad", "2": "fair"}
_ODD: tuple[Any, ...] = (
    None, True, "", "x", -1, 0, 1, 2, 3, 7, 48, 1e9, 10**12, 10**30, 0.5, -0.1, float("nan"), [],
    [1], {}, {"0": "a"}, "gelu_new", "relu", "float16", [[[]]],
)  # fmt: skip
Tensors = dict[str, NDArray[Any]]
Rng = np.random.Generator


def make_folders(into: Path) -> list[Path]:
    """Small models as they are published: BERT, its body of old names, shards, others."""
    shape = Architecture("x", 2, 16, 2, 32, 3, 60, 32)
    rng = generator(0, "mutations")
    bert = {n: rng.normal(0, 0.1, s).astype(np.float32) for n, s in shape.shapes().items()}
    entries = {
        "model_type": "bert", "num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2,
        "intermediate_size": 32, "vocab_size": 60, "max_position_embeddings": 32,
        "type_vocab_size": 2, "pad_token_id": 0, "id2label": _NAMES,
        "label2id": {word: int(number) for number, word in _NAMES.items()},
    }  # fmt: skip
    body = {_old_name(name): part for name, part in bert.items() if "classifier" not in name}
    _write(into / "bert", entries, {"model.safetensors": bert})
    _write(into / "body", entries, {"model.safetensors": body})
    _make_shards(into / "shards", bert, entries)
    _make_others(into)
    return sorted(into.iterdir())


def _write(folder: Path, entries: dict[str, Any], files: dict[str, Tensors]) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(entries))
    for file, tensors in files.items():
        save_file(tensors, folder / file)


def _old_name(name: str) -> str:
    """A tensor's name in a body that was converted from TensorFlow."""
    name = name.removeprefix("bert.").replace("Norm.weight", "Norm.gamma")
    return name.replace("Norm.bias", "Norm.beta")


def _make_shards(folder: Path, tensors: Tensors, entries: dict[str, Any]) -> None:
    files = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    weight_map = {name: files[place % 2] for place, name in enumerate(tensors)}
    parts = {f: {n: t for n, t in tensors.items() if weight_map[n] == f} for f in files}
    _write(folder, entries | {"hidden_act": "gelu_new"}, parts)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def _make_others(into: Path) -> None:
    """A DistilBERT classifier and a GPT-2 body, as transformers saves them."""
    import transformers

    sizes: dict[str, Any] = {"dim": 16, "hidden_dim": 32, "n_layers": 1, "n_heads": 2}
    small = transformers.DistilBertConfig(vocab_size=60, **sizes, id2label=dict(enumerate(CLASSES)))
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32, "eos_token_id": 1}
    tiny = transformers.GPT2Config(vocab_size=60, pad_token_id=0, bos_token_id=1, **sizes)
    with quiet(), torch.random.fork_rng(devices=[]):
        transformers.DistilBertForSequenceClassification(small).save_pretrained(into / "distil")
        transformers.GPT2Model(tiny).save_pretrained(into / "gpt2")


def _in_json(file: Path, rng: Rng) -> None:
    """Change, drop or add an entry, or damage the text."""
    table = json.loads(file.read_text())
    entries = table.get("weight_map", table)
    name = str(rng.choice(sorted(entries)))
    how = rng.integers(5)
    if how == 0:
        del entries[name]
    elif how < 3:
        entries[name] = _ODD[rng.integers(len(_ODD))]
    elif how == 3:
        entries[str(rng.choice(["quantization_config", "is_decoder", "x", "../x"]))] = "../x"
    text = json.dumps(table)
    if how == 4:
        place = int(rng.integers(len(text)))
        text = text[:place] + str(rng.choice(["", "}", "[" * 2000, "\u2028", '"'])) + text[place:]
    file.write_text(text[: int(rng.integers(len(text)))] if rng.random() < 0.05 else text)


def _in_tensors(file: Path, rng: Rng) -> None:
    """Drop, rename, reshape, convert or spoil a tensor."""
    tensors = load_file(file)
    name = str(rng.choice(sorted(tensors)))
    part = tensors[name]
    changes: tuple[Tensors, ...] = (
        {}, {f"model.{name}": part}, {name.replace("weight", "gamma"): part, name: part},
        {name: part[..., :-1].copy()}, {name: part.reshape(-1)}, {name: np.zeros((), np.float32)},
        {name: part.astype(np.float16)}, {name: part.astype(np.int8)},
        {name: np.full_like(part, np.nan)},
    )  # fmt: skip
    del tensors[name]
    tensors |= changes[rng.integers(len(changes))]
    save_file(tensors, file)


def _in_bytes(file: Path, rng: Rng) -> None:
    """Cut a file, or change one byte of its beginning."""
    data = bytearray(file.read_bytes())
    data[int(rng.integers(min(len(data), 3000)))] = int(rng.integers(256))
    file.write_bytes(data[: int(rng.integers(len(data)))] if rng.random() < 0.3 else data)


def mutate(folder: Path, rng: Rng) -> None:
    """Damage a model's folder in one way."""
    files = [*folder.glob("*.json"), *folder.glob("*.safetensors"), *folder.glob("*.safetensors")]
    file = sorted(files)[rng.integers(len(files))]
    if rng.random() < 0.05:
        file.unlink()
    elif file.suffix == ".json":
        _in_json(file, rng)
    elif rng.random() < 0.7:
        _in_tensors(file, rng)
    else:
        _in_bytes(file, rng)


def read(folder: Path) -> str:
    """``read`` or ``refused``: what becomes of a folder; raises what no user should see."""
    taking.looked_at.cache_clear()
    name = str(folder)
    try:
        seed = pretrained_seed(name, len(CLASSES), 1, CLASSES)
        head.start_notes(registry.find_model(name, len(CLASSES)), CLASSES)
        logits = grow(encode(seed)).eval()(
            torch.tensor([[5, 6, 7], [5, 6, 0]]), torch.tensor([3, 2])
        )
    except InputError as error:
        if len(str(error).splitlines()) == 1:
            return "refused"
        raise RunError(f"not one line: {error}") from error
    if logits.shape != (2, len(CLASSES)) or not bool(torch.isfinite(logits).all()):
        raise RunError("the model gives no finite numbers")
    return "read"


def main(
    count: Annotated[int, typer.Option(min=1, help="Damaged folders.")] = 1000,
    run_seed: Annotated[int, typer.Option(help="Of the damage.")] = 0,
) -> None:
    """Damage models, read them, and print how many were read and refused; else fail."""
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "whole").mkdir()
        folders = make_folders(Path(scratch) / "whole")
        for number in range(count):
            rng = generator(run_seed, "mutation", number)
            folder = Path(scratch) / f"{number}"
            shutil.copytree(folders[number % len(folders)], folder)
            try:
                mutate(folder, rng)
                counts[read(folder)] += 1
            except Exception:  # counted: this is what must not be
                counts["failed"] += 1
                print(f"number {number}:\n{traceback.format_exc()}")
            shutil.rmtree(folder)
    print(f"{count:,} damaged models: " + ", ".join(f"{n:,} {w}" for w, n in counts.items()))
    if counts["failed"]:
        raise RunError(f"{counts['failed']} folders were neither read nor refused in one line")


if __name__ == "__main__":
    sys.exit(run_main(main))
