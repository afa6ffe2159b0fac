"""The ClientApp: the same for the in-process engine, ray and a deployment."""

import secrets
import struct
from collections.abc import Sequence
from dataclasses import replace

import torch
from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedseed.config import RunConfig
from fedseed.data.site import Site, open_site
from fedseed.errors import WireError
from fedseed.evaluation.metrics import ClassCounts, count_correct
from fedseed.federation.wire import ContextMemory, content, payload_of
from fedseed.privacy.budget import defence_of
from fedseed.protocols import find_protocol
from fedseed.protocols.base import ProtocolClient
from fedseed.randomness import generator
from fedseed.training import Compute, Trainer, choose

PARTITION = "partition_id"


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


def client_app(
    config: RunConfig | None = None, trainer: Trainer | None = None, site: Site | None = None
) -> ClientApp:
    """Make the ClientApp.

    Args:
        config: the run's configuration; None to read it from Flower's ``run_config``.
        trainer: trains the clients' models; None to make one by the configuration.
        site: the clients' shards; None to deal them out by the configuration.
    """
    app = ClientApp()

    def site_of(own: RunConfig) -> Site:
        return site or open_site(own)

    def configured(context: Context) -> tuple[RunConfig, int]:
        # One thread, always: results must not depend on how many workers share the machine.
        torch.set_num_threads(1)
        own = config or RunConfig.from_run_config(context.run_config).with_quick()
        return own, int(context.node_config["partition-id"])

    def client_of(own: RunConfig, defended: bool = False) -> ProtocolClient:
        client = find_protocol(own.protocol).client
        best = trainer or Trainer(compute_of(own))
        defence = defence_of(own, site_of(own)) if defended else None
        if defence is not None and config is None:
            # A deployment, whose server may ask for more than its options say.
            defence = replace(defence, most_batch=own.given_recipe().batch_size)
        if defence is not None and defence.unit == "example":
            best = Trainer(best.compute, dp=defence.dp_sgd)
        return client(best, site_of(own).public, defence)

    @app.query()
    def introduce(message: Message, context: Context) -> Message:
        _, pid = configured(context)
        return Message(RecordDict({PARTITION: MetricRecord({PARTITION: pid})}), reply_to=message)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        own, pid = configured(context)
        shard = site_of(own).shard(pid)
        number, seed = int(message.metadata.group_id), own.run_seed
        if own.privacy is not None:
            if number > own.rounds:
                raise WireError(f"round {number} is not in the privacy budget")
            if config is None:
                # A deployment: noise that whoever knows the options can draw again hides nothing.
                seed = secrets.randbits(63)
        rng = generator(seed, "train", number, pid)
        client = client_of(own, defended=True)
        up = client.contribute(payload_of(message), shard, ContextMemory(context), rng)
        return Message(content(up), reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        own, pid = configured(context)
        here = site_of(own)
        table, shard = here.dataset.table, here.shard(pid)
        rng = generator(own.run_seed, "evaluate", 0, pid)
        # What is grown stays here, and its test is the study's: neither is noised.
        client = client_of(own)
        model, length = client.grow(
            payload_of(message), shard.table, shard.whole(), ContextMemory(context), rng
        )
        rows = here.test_rows(pid)
        counts = count_correct(
            client.trainer.predict(model, table, rows, length), table.labels[rows]
        )
        return Message(content(encode_counts(counts)), reply_to=message)

    return app
