"""Workload W: federated averaging of BERT-tiny, and how it is done with Hugging Face's module.

The references are written as their users write them: the stock module with its dropout, a new
model for every client and round, torch's AdamW. Tokens and shards are fedseed's, so that only
training and simulation are compared.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import FederatedDataset, open_federated_dataset
from fedseed.evaluation.metrics import count_correct
from fedseed.randomness import generator
from fedseed.training.batches import batches

LENGTH, BATCH, RATE = 128, 32, 1e-3


@dataclass(frozen=True)
class Workload:
    """How much work one run is."""

    clients: int = 10
    rounds: int = 3
    steps: int = 30

    @property
    def total_steps(self) -> int:
        """Optimiser steps of all clients."""
        return self.clients * self.rounds * self.steps

    def words(self) -> list[str]:
        """The workload as arguments of the reference programs."""
        return [str(self.clients), str(self.rounds), str(self.steps)]


def open_shards(work: Workload) -> FederatedDataset:
    """The bundled reviews, partitioned among the workload's clients."""
    config = RunConfig.parse({"clients": work.clients, "newcomers": 0, "max_length": LENGTH})
    return open_federated_dataset(config)


def hugging_face_model(seed: int = 0) -> Any:
    """BERT-tiny from random initialisation, as ``transformers`` makes it."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=30_522, hidden_size=128, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=512,
    )  # fmt: skip
    assert config.num_labels == 2  # the library's default
    return BertForSequenceClassification(config)


def train(
    model: nn.Module, federated: FederatedDataset, client: int, round_number: int, steps: int
) -> float:
    """One client's local training; returns the mean loss."""
    rng = generator(0, "reference", round_number, client)
    torch.manual_seed(int(rng.integers(2**31)))
    table = federated.dataset.table
    order = batches(federated.shard(client).whole(), BATCH, rng)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
    model.train()
    losses = []
    for _ in range(steps):
        rows = next(order)
        ids, lengths = table.padded(rows, LENGTH)
        mask = np.arange(ids.shape[1]) < lengths[:, None]
        loss = model(
            input_ids=torch.from_numpy(ids),
            attention_mask=torch.from_numpy(mask.astype(np.int64)),
            labels=torch.from_numpy(table.labels[rows]),
        ).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return float(np.mean(losses))


def tested(state: dict[str, torch.Tensor], federated: FederatedDataset) -> dict[str, Any]:
    """Correct predictions of some weights on the common test split, by class; not timed."""
    from fedseed.models.registry import build, find_model
    from fedseed.training import predict

    numpy_state = {name: part.detach().numpy() for name, part in state.items()}
    model = build(find_model("bert-tiny", 2), numpy_state)
    rows = federated.dataset.test
    likelihoods = predict(model, federated.dataset.table, rows, LENGTH)
    counts = count_correct(likelihoods, federated.dataset.table.labels[rows])
    return {"correct": counts.correct, "examples": counts.examples}


def emit(event: str, **values: Any) -> None:
    """Print one event as a line of JSON, with the time."""
    print(json.dumps({"event": event, "time": time.time(), **values}), flush=True)
