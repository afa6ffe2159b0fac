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
from fedseed.data.shard import Shard
from fedseed.errors import WireError
from fedseed.evaluation.metrics import ClassCounts, count_correct
from fedseed.federation.limits import Limits
from fedseed.federation.messages import ContextMemory, content, payload_of
from fedseed.federation.privacy_budget import defence_of, within_budget
from fedseed.federation.secure_aggregation.client import SumClient
from fedseed.federation.secure_aggregation.summed_round import NEIGHBOURS
from fedseed.given_recipe import given_recipe
from fedseed.privacy.mechanisms import Defence
from fedseed.protocols import find_protocol
from fedseed.protocols.base import ClientTask, Memory, ProtocolClient
from fedseed.protocols.staged import StagedClient
from fedseed.protocols.start import LEXICON
from fedseed.randomness import generator
from fedseed.training import Compute, Trainer, choose
from fedseed.training.workload import Workload

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
        config = self.config or RunConfig.from_run_config(context.run_config).with_quick()
        return config, int(context.node_config["partition-id"])

    def federated_of(self, config: RunConfig) -> FederatedDataset:
        """All shards."""
        return self.federated or open_federated_dataset(config)

    def shard(self, config: RunConfig, partition_id: int) -> Shard:
        """A client's private examples."""
        return self.federated_of(config).shard(partition_id)

    def defence_of(self, config: RunConfig) -> Defence | None:
        """What a client does to what it sends."""
        most_batch = None
        if self.deployed and config.privacy is not None:  # the server may ask for more
            most_batch = given_recipe(config).batch_size
        return defence_of(config, self.federated_of(config), most_batch=most_batch)

    def client(
        self, config: RunConfig, defence: Defence | None = None, limits: Limits | None = None
    ) -> ProtocolClient:
        """A client of the run's protocol; a deployed one keeps to its node's limits."""
        federated, trainer = self.federated_of(config), self.trainer or Trainer(compute_of(config))
        dp = defence.dp_sgd if defence is not None and defence.unit == "example" else None
        if self.deployed:  # each message has a workload of its own
            trainer = Trainer(trainer.compute, dp, Workload((limits or Limits()).tokens))
        elif dp is not None:
            trainer = Trainer(trainer.compute, dp)
        shared = {"trainer": trainer, "public": federated.public, "defence": defence}
        client: ProtocolClient = find_protocol(config.protocol).make_client(
            config.options, **shared
        )
        if config.start_options is not None:
            first = find_protocol(LEXICON).make_client(config.start_options, **shared)
            client = StagedClient(first, client)
        if self.deployed:
            client.architecture = config.model, federated.dataset.labels
        return client

    def seed(self, config: RunConfig, round_number: int, memory: Memory) -> int:
        """What a round's random choices begin with.

        Raises:
            WireError: the privacy budget does not cover the round, or not once more.
        """
        if config.privacy is None:
            return config.run_seed
        rounds = config.rounds
        if self.deployed:  # the rounds that epsilon allows, whatever the server asks for
            recipe, federated = given_recipe(config), self.federated_of(config)
            rounds = within_budget(config, recipe, federated)[0].rounds
        if round_number > rounds:
            raise WireError(f"round {round_number} is not in the privacy budget")
        if not self.deployed:
            return config.run_seed
        if round_number <= _number(memory, _ANSWERED):  # noise is gone from a mean of many answers
            raise WireError(f"round {round_number} is past: the privacy budget covers it once")
        memory[_ANSWERED] = round_number.to_bytes(8, "little")
        # Noise that whoever knows the options can draw again hides nothing.
        return secrets.randbits(256)

    def note_test(self, config: RunConfig, memory: Memory) -> None:
        """Count a test of a deployed client under a privacy budget.

        Raises:
            WireError: it was asked for more tests than a run has.
        """
        if self.deployed and config.privacy is not None:
            tests = _number(memory, _TESTED) + 1
            if tests > _MOST_TESTS:
                raise WireError(f"more than {_MOST_TESTS} tests are not in the privacy budget")
            memory[_TESTED] = tests.to_bytes(8, "little")

    def contribution(self, message: Message, context: Context) -> bytes:
        """What a client sends in a round: it trains on its shard as the payload says.

        Under secure aggregation it is a masked vector, whatever the server asks for.
        """
        config, pid = self.options(context)
        round_number, memory = int(message.metadata.group_id), ContextMemory(context)
        limits = Limits.of(context.node_config)
        if self.deployed:
            limits.refuse(config, round_number)
        client = self.client(config, self.defence_of(config), limits)
        shard = self.shard(config, pid)

        def task(payload: bytes) -> ClientTask:
            rng = generator(self.seed(config, round_number, memory), "train", round_number, pid)
            return ClientTask(payload, shard, memory, rng)

        payload = payload_of(message)
        if not config.secure_aggregation:
            return client.contribute(task(payload))
        return self.sum_client(context).mask(
            round_number, payload, lambda asked: client.addend(task(asked), config.cohort_size)
        )

    def sum_client(self, context: Context) -> SumClient:
        """The client's part in sums.

        Raises:
            WireError: its options are for no sums.
        """
        config, pid = self.options(context)
        if not config.secure_aggregation:
            raise WireError("secure aggregation is not among this client's options")
        least = max(Limits.of(context.node_config).smallest_sum, config.resolved_threshold)
        if config.cohort_size > NEIGHBOURS + 1:  # on a ring a client sees its neighbours alone
            least = min(least, (NEIGHBOURS + 1) // 2 + 1)
        return SumClient(ContextMemory(context), pid, least, once=self.deployed)

    def test(self, message: Message, context: Context) -> ClassCounts:
        """How a model does on the test split that a client makes of a product."""
        config, pid = self.options(context)
        federated, shard = self.federated_of(config), self.shard(config, pid)
        rng = generator(config.run_seed, "evaluate", 0, pid)
        # What is grown stays here, and its test is the study's: neither is noised.
        client = self.client(config, limits=Limits.of(context.node_config))
        memory = ContextMemory(context)
        self.note_test(config, memory)
        model, length = client.grow(ClientTask(payload_of(message), shard, memory, rng))
        table, rows = federated.dataset.table, federated.test_rows(pid)
        predictions = client.trainer.predict(model, table, rows, length)
        return count_correct(predictions, table.labels[rows])


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
        federated: the clients' shards; None to split the data by the configuration.
    """
    app, parts = ClientApp(), _Parts(config, trainer, federated)

    @app.query()
    def introduce(message: Message, context: Context) -> Message:
        _, pid = parts.options(context)
        return Message(RecordDict({PARTITION: MetricRecord({PARTITION: pid})}), reply_to=message)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        return Message(content(parts.contribution(message, context)), reply_to=message)

    @app.train("advertise")
    def advertise(message: Message, context: Context) -> Message:
        answer = parts.sum_client(context).advertise(int(message.metadata.group_id))
        return Message(content(answer), reply_to=message)

    @app.train("share")
    def share(message: Message, context: Context) -> Message:
        number, payload = int(message.metadata.group_id), payload_of(message)
        return Message(content(parts.sum_client(context).share(number, payload)), reply_to=message)

    @app.train("reveal")
    def reveal(message: Message, context: Context) -> Message:
        number, payload = int(message.metadata.group_id), payload_of(message)
        return Message(content(parts.sum_client(context).reveal(number, payload)), reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        counts = parts.test(message, context)
        return Message(content(encode_counts(counts)), reply_to=message)

    return app
