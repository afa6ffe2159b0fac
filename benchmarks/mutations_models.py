"""Published models that are damaged at random: read, or refused in one line, nothing else.

python benchmarks/mutations_models.py --count 30000
"""

import collections
import json
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
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
    """Small models as they are published: BERT, its body of old names, its shards, others."""
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
    made = {"bert": bert, "body": body, "relative": bert}
    for name, tensors in made.items():
        (into / name).mkdir()
        save_file(tensors, into / name / "model.safetensors")
        other = {"hidden_act": "gelu_new"} if name == "relative" else {}
        (into / name / "config.json").write_text(json.dumps(entries | other))
    _make_shards(into / "shards", bert, entries)
    _make_others(into)
    return sorted(into.iterdir())


def _old_name(name: str) -> str:
    """A tensor's name in a body that was converted from TensorFlow."""
    name = name.removeprefix("bert.").replace("LayerNorm.weight", "LayerNorm.gamma")
    return name.replace("LayerNorm.bias", "LayerNorm.beta")


def _make_shards(folder: Path, tensors: Tensors, entries: dict[str, Any]) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(entries))
    names = sorted(tensors)
    files = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    weight_map = {name: files[place % 2] for place, name in enumerate(names)}
    for file in files:
        parts = {name: tensors[name] for name in names if weight_map[name] == file}
        save_file(parts, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def _make_others(into: Path) -> None:
    """A DistilBERT classifier and a GPT-2 body, as transformers saves them."""
    import transformers

    sizes: dict[str, Any] = {
        "dim": 16,
        "hidden_dim": 32,
        "n_layers": 1,
        "n_heads": 2,
        "num_labels": 3,
    }
    small = transformers.DistilBertConfig(vocab_size=60, max_position_embeddings=32, **sizes)
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32, "eos_token_id": 1}
    tiny = transformers.GPT2Config(vocab_size=60, pad_token_id=0, bos_token_id=1, **sizes)
    with quiet(), torch.random.fork_rng(devices=[]):
        classifier = transformers.DistilBertForSequenceClassification(small)
        classifier.save_pretrained(into / "distilbert")
        transformers.GPT2Model(tiny).save_pretrained(into / "gpt2")


def _in_json(file: Path, rng: Rng) -> None:
    """Change, drop or add an entry, or damage the text."""
    table = json.loads(file.read_text())
    entries = table.get("weight_map", table)
    name = str(rng.choice(sorted(entries)))
    how = rng.integers(5)
    if how == 0:
        del entries[name]
    elif how in (1, 2):
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
    changes: tuple[Callable[[], Tensors], ...] = (
        dict,
        lambda: {f"model.{name}": part},
        lambda: {name.replace("weight", "gamma"): part, name: part},
        lambda: {name: part[..., :-1].copy()},
        lambda: {name: part.reshape(-1)},
        lambda: {name: np.zeros((), np.float32)},
        lambda: {name: part.astype(np.float16)},
        lambda: {name: part.astype(np.int8)},
        lambda: {name: np.full_like(part, np.nan)},
    )
    del tensors[name]
    tensors |= changes[rng.integers(len(changes))]()
    save_file(tensors, file)


def _in_bytes(file: Path, rng: Rng) -> None:
    """Cut a file, or change one byte of its beginning."""
    data = bytearray(file.read_bytes())
    if rng.random() < 0.3:
        data = data[: int(rng.integers(len(data)))]
    else:
        data[int(rng.integers(min(len(data), 3000)))] = int(rng.integers(256))
    file.write_bytes(data)


def mutate(folder: Path, rng: Rng) -> None:
    """Damage a model's folder in one way."""
    files = sorted(folder.glob("*.json")) + 2 * sorted(folder.glob("*.safetensors"))
    file = files[rng.integers(len(files))]
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
    taking.drawn_parts.cache_clear()
    name = str(folder)
    try:
        seed = pretrained_seed(name, len(CLASSES), 1, CLASSES)
        head.start_notes(registry.find_model(name, len(CLASSES)), CLASSES)
        logits = grow(encode(seed)).eval()(
            torch.tensor([[5, 6, 7], [5, 6, 0]]), torch.tensor([3, 2])
        )
    except InputError as error:
        if len(str(error).splitlines()) != 1:
            raise RunError(f"not one line: {error}") from error
        return "refused"
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
