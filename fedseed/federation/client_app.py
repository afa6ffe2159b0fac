"""The ClientApp: the same for the in-process engine, ray and a deployment."""

import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import FederatedDataset, open_federated_dataset
from fedseed.errors import WireError
from fedseed.evaluation.metrics import ClassCounts, count_correct
from fedseed.federation.messages import ContextMemory, content, payload_of
from fedseed.federation.privacy_budget import defence_of, within_budget
from fedseed.privacy.mechanisms import Defence
from fedseed.protocols import find_protocol
from fedseed.protocols.base import ClientTask, Memory, ProtocolClient
from fedseed.randomness import generator
from fedseed.training import Compute, Trainer, choose

PARTITION = "partition_id"
_ANSWERED, _TESTED = "answered", "tested"
_MOST_TESTS = 2
"""What was given and what was aggregated."""


def encode_counts(counts: ClassCounts) -> bytes:
    """A test run as bytes: correct predictions, then examples, by class, 4 bytes each."""
    numbers = (*counts.correct, *counts.examples)
    return struct.pack(f"<{len(numbers)}I", *numbers)


def decode_counts(payload: bytes, expected: Sequence[int]) -> ClassCounts:
    """Read a test run.

    Args:
        payload: what the client sent.
        expected: test examples of each class, which the server knows.

    Raises:
        WireError: wrong length, other examples, or more correct predictions than examples.
    """
    classes = len(expected)
    if len(payload) != 8 * classes:
        raise WireError(f"{len(payload)} bytes are no test run over {classes} classes")
    numbers = struct.unpack(f"<{2 * classes}I", payload)
    correct, examples = numbers[:classes], numbers[classes:]
    if list(examples) != list(expected):
        raise WireError("the client tested on other examples")
    if any(c > e for c, e in zip(correct, examples, strict=True)):
        raise WireError("more correct predictions than examples")
    return ClassCounts(correct, examples)


def compute_of(config: RunConfig) -> Compute:
    """Precision and device of a run on this machine.

    Raises:
        ConfigError: this machine has no such device.
    """
    return choose(config.precision, config.device, config.compile)


@dataclass(frozen=True)
class _Parts:
    """What clients are made of; what is None is found by Flower's ``run_config``."""

    config: RunConfig | None
    trainer: Trainer | None
    federated: FederatedDataset | None

    @property
    def deployed(self) -> bool:
        """Whether options come from outside: then a client trusts its own alone."""
        return self.config is None

    def options(self, context: Context) -> tuple[RunConfig, int]:
        """The run's options, and the client's number."""
        # One thread, always: results must not depend on how many workers share the machine.
        torch.set_num_threads(1)
        own = self.config or RunConfig.from_run_config(context.run_config).with_quick()
        return own, int(context.node_config["partition-id"])

    def federated_of(self, own: RunConfig) -> FederatedDataset:
        """All shards."""
        return self.federated or open_federated_dataset(own)

    def defence_of(self, own: RunConfig) -> Defence | None:
        """What a client does to what it sends."""
        most_batch = None
        if self.deployed and own.privacy is not None:  # the server may ask for more than they say
            most_batch = own.given_recipe().batch_size
        return defence_of(own, self.federated_of(own), most_batch=most_batch)

    def client(self, own: RunConfig, defence: Defence | None = None) -> ProtocolClient:
        """A client of the run's protocol."""
        federated, trainer = self.federated_of(own), self.trainer or Trainer(compute_of(own))
        if defence is not None and defence.unit == "example":
            trainer = Trainer(trainer.compute, dp=defence.dp_sgd)
        client: ProtocolClient = find_protocol(own.protocol).make_client(
            own.options, trainer=trainer, public=federated.public, defence=defence
        )
        if self.deployed:
            client.architecture = own.model, federated.dataset.labels
        return client

    def seed(self, own: RunConfig, round_number: int, memory: Memory) -> int:
        """What a round's random choices begin with.

        Raises:
            WireError: the privacy budget does not cover the round, or not once more.
        """
        if own.privacy is None:
            return own.run_seed
        rounds = own.rounds
        if self.deployed:  # the rounds that epsilon allows, whatever the server asks for
            rounds = within_budget(own, own.given_recipe(), self.federated_of(own))[0].rounds
        if round_number > rounds:
            raise WireError(f"round {round_number} is not in the privacy budget")
        if not self.deployed:
            return own.run_seed
        if round_number <= _number(memory, _ANSWERED):  # noise is gone from a mean of many answers
            raise WireError(f"round {round_number} is past: the privacy budget covers it once")
        memory[_ANSWERED] = round_number.to_bytes(8, "little")
        # Noise that whoever knows the options can draw again hides nothing.
        return secrets.randbits(63)

    def note_test(self, own: RunConfig, memory: Memory) -> None:
        """Count a test of a deployed client under a privacy budget.

        Raises:
            WireError: it was asked for more tests than a run has.
        """
        if self.deployed and own.privacy is not None:
            tests = _number(memory, _TESTED) + 1
            if tests > _MOST_TESTS:
                raise WireError(f"more than {_MOST_TESTS} tests are not in the privacy budget")
            memory[_TESTED] = tests.to_bytes(8, "little")


def _number(memory: Memory, name: str) -> int:
    return int.from_bytes(memory.get(name, b""), "little")


def client_app(
    config: RunConfig | None = None,
    trainer: Trainer | None = None,
    federated: FederatedDataset | None = None,
) -> ClientApp:
    """Make the ClientApp.

    Args:
        config: the run's configuration; None to read it from Flower's ``run_config``.
        trainer: trains the clients' models; None to make one by the configuration.
        federated: the clients' shards; None to deal them out by the configuration.
    """
    app, parts = ClientApp(), _Parts(config, trainer, federated)

    @app.query()
    def introduce(message: Message, context: Context) -> Message:
        _, pid = parts.options(context)
        return Message(RecordDict({PARTITION: MetricRecord({PARTITION: pid})}), reply_to=message)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        own, pid = parts.options(context)
        number, memory = int(message.metadata.group_id), ContextMemory(context)
        rng = generator(parts.seed(own, number, memory), "train", number, pid)
        client, shard = parts.client(own, parts.defence_of(own)), parts.federated_of(own).shard(pid)
        up = client.contribute(ClientTask(payload_of(message), shard, memory, rng))
        return Message(content(up), reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        own, pid = parts.options(context)
        here = parts.federated_of(own)
        table, shard = here.dataset.table, here.shard(pid)
        rng = generator(own.run_seed, "evaluate", 0, pid)
        # What is grown stays here, and its test is the study's: neither is noised.
        client, memory = parts.client(own), ContextMemory(context)
        parts.note_test(own, memory)
        model, length = client.grow(ClientTask(payload_of(message), shard, memory, rng))
        rows = here.test_rows(pid)
        counts = count_correct(
            client.trainer.predict(model, table, rows, length), table.labels[rows]
        )
        return Message(content(encode_counts(counts)), reply_to=message)

    return app
