"""A published body's training step: fedseed, Hugging Face's module, and peft with its Trainer.

All take the same batches of reviews on all cores, in turns, each in a process of its own; what is
timed is the steps, after a first one. Factors of rank 4 are on the attention's four matrices of
every layer, both trained.
"""

import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from rich.console import Console

from benchmarks.matrix import count_operations, matrix_rate, timed
from benchmarks.running import run, spread
from benchmarks.workload import emit
from fedseed.config import RunConfig
from fedseed.data.federated_dataset import open_federated_dataset
from fedseed.data.tokens import TokenTable
from fedseed.federation.allocator import keep_memory
from fedseed.models.architecture import REGISTRY
from fedseed.models.bert import BertClassifier
from fedseed.protocols.adapters.low_rank import AdaptedModel
from fedseed.protocols.adapters.messages import Layout
from fedseed.recipe import Recipe
from fedseed.runs.original import start_seed
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.training.batches import batches, longest_first
from fedseed.training.lanes import LANES
from fedseed.training.lean_trainer import LeanTrainer
from fedseed.training.precision_and_device import Compute, choose
from fedseed.training.subspace.trainer import SubspaceTrainer

MODEL, LENGTHS = "minilm", (128, 256)
_BATCH, _RATE, _RANK = 32, 2e-4, 4
_ATTENTION = ["query", "key", "value", "attention.output.dense"]
_STEPS = {"fedseed": 6, "fedseed_fp32": 4, "plain_hf": 3, "plain_hf_bf16": 4, "adapters": 6,
          "peft": 3}  # fmt: skip
Batches = Iterator[np.ndarray[Any, np.dtype[np.int64]]]


def _batches(length: int) -> tuple[TokenTable, Batches]:
    """The reviews, and rows of batch after batch, longest texts first."""
    config = RunConfig.parse({"newcomers": 0, "max_length": length, "model": MODEL})
    federated = open_federated_dataset(config)
    table = federated.dataset.table
    order = batches(federated.shard(0).whole(), _BATCH, np.random.default_rng(0))
    return table, (rows[longest_first(table.lengths(rows, length))] for rows in order)


def _trainer(system: str, length: int, lanes: int) -> LeanTrainer:
    """fedseed's, of the whole model or of factors."""
    recipe = Recipe(optimiser="adamw", learning_rate=_RATE, steps=10_000, max_length=length)
    compute = Compute() if system == "fedseed_fp32" else choose("auto")
    compute = dataclasses.replace(compute, lanes=lanes)
    seed = encode(start_seed(MODEL, ("negative", "positive"), "", 1))
    model = grow(seed)
    assert isinstance(model, BertClassifier)
    if system != "adapters":
        return LeanTrainer([model], [recipe], compute)
    shapes = {name: tuple(part.shape) for name, part in model.named_parameters()}
    layout = Layout.of(shapes, _RANK, "lora", "attention")
    return SubspaceTrainer(AdaptedModel(seed, layout, layout.start(seed), 1.0), recipe, compute)


def _hugging_face() -> Any:
    """The stock module with the body's sizes."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    shape = REGISTRY[MODEL]
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=shape.vocabulary, hidden_size=shape.hidden, num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads, intermediate_size=shape.intermediate,
        )
    )  # fmt: skip


def _inputs(table: TokenTable, rows: Any, length: int) -> dict[str, torch.Tensor]:
    """A batch as Hugging Face's modules take it."""
    ids, lengths = table.padded(rows, length)
    mask = np.arange(ids.shape[1]) < lengths[:, None]
    return {
        "input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(table.labels[rows]),
        "attention_mask": torch.from_numpy(mask.astype(np.int64)),
    }  # fmt: skip


def _plain_step(table: TokenTable, order: Batches, length: int, bf16: bool) -> Callable[[], None]:
    """One step of a plain loop with torch's AdamW."""
    model = _hugging_face().train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=_RATE)

    def step() -> None:
        inputs = _inputs(table, next(order), length)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model(**inputs).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def _peft_seconds(table: TokenTable, order: Batches, length: int, steps: int) -> list[float]:
    """Seconds of steps of transformers' Trainer with peft's factors."""
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import Trainer, TrainerCallback, TrainingArguments

    task = LoraConfig(
        task_type=TaskType.SEQ_CLS, r=_RANK, lora_alpha=8, target_modules=_ATTENTION
    )  # fmt: skip
    model: Any = get_peft_model(_hugging_face(), task)
    texts = [_inputs(table, next(order), length) for _ in range(steps + 1)]
    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, per_device_train_batch_size=1, max_steps=steps + 1, use_cpu=True,
            report_to="none", save_strategy="no", logging_strategy="no", learning_rate=_RATE,
        )  # fmt: skip
        Trainer(
            model,
            arguments,
            train_dataset=texts,
            data_collator=lambda one: one[0],
            callbacks=[Clock()],
        ).train()
    return list(np.diff(ends))


def _one(system: str, length: int) -> None:
    """Time one system's steps, and print them."""
    keep_memory()
    torch.set_num_threads(2)
    table, order = _batches(length)
    if system == "peft":
        seconds = statistics.median(_peft_seconds(table, order, length, _STEPS[system]))
        emit("steps", median=seconds)
        return
    if system.startswith("plain"):
        step = _plain_step(table, order, length, system.endswith("bf16"))
    else:
        torch.set_num_threads(1)
        trainer = _trainer(system, length, LANES)

        def step() -> None:
            trainer.step([next(order)], table)

    step()
    emit("steps", median=timed(step, _STEPS[system]))


def _share(system: str, length: int, repetitions: int) -> None:
    """Print the share of the matrix rate that a step reaches on one thread, several times."""
    keep_memory()
    torch.set_num_threads(1)
    table, order = _batches(length)
    trainer, shape = _trainer(system, length, 1), REGISTRY[MODEL]

    def step() -> None:
        trainer.step([next(order)], table)

    step()
    operations = statistics.median(count_operations(step) for _ in range(2))
    dtype = torch.float32 if system == "fedseed_fp32" else torch.bfloat16
    for _ in range(repetitions):
        rate = matrix_rate(dtype, _BATCH * length, shape.hidden, shape.intermediate)
        emit("share", share=operations / timed(step, 4) / rate)


def measure_body(repeats: int, show: Console) -> dict[str, Any]:
    """Ratios of steps a second and shares of the matrix rate, by length; see the module.

    Args:
        repeats: turns, at least 1.
        show: is told how far it is.
    """
    lengths: dict[str, Any] = {}
    for length in LENGTHS:
        rates: dict[str, list[float]] = {name: [] for name in _STEPS}
        for number in range(repeats):
            for name in _STEPS:
                events = run(["-m", "benchmarks.body", name, str(length)]).events()
                rates[name].append(1 / events[-1]["median"])
            show.print(f"{MODEL}, {length} tokens: turn {number + 1} of {repeats}")
        lengths[str(length)] = _summed_up(rates) | {"share_of_matrix_rate": _shares(length)}
    return {"body": {MODEL: {**lengths["256"], "lengths": lengths}}}


def _summed_up(rates: dict[str, list[float]]) -> dict[str, Any]:
    """Ratios within each turn: the whole model to the plain loops, the factors to peft's."""
    pairs = {
        "plain_hf": ("fedseed", "plain_hf"), "plain_hf_bf16": ("fedseed", "plain_hf_bf16"),
        "fp32_to_fp32": ("fedseed_fp32", "plain_hf"), "peft": ("adapters", "peft"),
    }  # fmt: skip
    ratios = {
        name: spread([one / other for one, other in zip(rates[ours], rates[theirs], strict=True)])
        for name, (ours, theirs) in pairs.items()
    }
    seconds = {name: spread([1 / rate for rate in values]) for name, values in rates.items()}
    return {"steps_per_second_ratio": ratios, "step_seconds": seconds}


def _shares(length: int) -> dict[str, Any]:
    shares = {}
    for precision, system in (("fp32", "fedseed_fp32"), ("bf16", "fedseed")):
        if precision == "bf16" and choose("auto").precision != "bf16":
            continue
        events = run(["-m", "benchmarks.body", system, str(length), "share"]).events()
        shares[precision] = spread([event["share"] for event in events])
    return shares


if __name__ == "__main__":
    if len(sys.argv) > 3:
        _share(sys.argv[1], int(sys.argv[2]), 3)
    else:
        _one(sys.argv[1], int(sys.argv[2]))
