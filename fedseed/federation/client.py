"""What a client answers to one message with its texts and a model."""

import functools
import json
import secrets
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from flwr.app import Context, Message

from fedseed.coding.vectors import Words
from fedseed.config import RunConfig
from fedseed.data.clients import open_clients
from fedseed.data.federated_dataset import FederatedDataset
from fedseed.data.shard import Shard
from fedseed.data.sites.federated import open_node
from fedseed.data.sites.site import Site
from fedseed.errors import RecipeError, WireError
from fedseed.evaluation.alone import ALONE, tested_alone
from fedseed.evaluation.metrics import ClassCounts, count_correct
from fedseed.federation.counted_tests import encode_counts, to_words
from fedseed.federation.member import Member
from fedseed.federation.privacy_budget import defence_of, within_budget
from fedseed.federation.secure_aggregation.messages import split_parts
from fedseed.given_recipe import given_recipe
from fedseed.memory import Memory
from fedseed.models.registry import find_model
from fedseed.privacy.mechanisms import Defence
from fedseed.protocols import find_protocol
from fedseed.protocols.base import ClientTask, ProtocolClient
from fedseed.protocols.staged import StagedClient
from fedseed.protocols.start import LEXICON
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.training import Compute, Trainer, choose
from fedseed.training.workload import Workload

_MOST_PRODUCTS = 16
_ANSWERED, _TESTED = "answered", "tested"


def compute_of(config: RunConfig) -> Compute:
    """Precision and device of a run on this machine.

    Raises:
        ConfigError: this machine has no such device.
    """
    return choose(config.precision, config.device, config.compile)


@dataclass(frozen=True)
class Given:
    """What clients are made of; what is None is found by Flower's ``run_config``."""

    config: RunConfig | None = None
    trainer: Trainer | None = None
    federated: FederatedDataset | None = None


class Client(Member):
    """A member with its texts and models."""

    def __init__(self, given: Given, message: Message, context: Context) -> None:
        """Look at a message; see :class:`Member`."""
        # One thread, always: results must not depend on how many workers share the machine.
        torch.set_num_threads(1)
        self._given = given
        super().__init__(given.config, message, context)

    @functools.cached_property
    def federated(self) -> FederatedDataset:
        """The shards that this process can open."""
        if self._given.federated is not None:
            return self._given.federated
        site = self.site
        return open_clients(self.config) if site is None else self._open(site)

    def _open(self, site: Site) -> FederatedDataset:
        if not self.config.class_names:
            raise WireError("no terms were agreed with this node: it does not know the classes")
        return open_node(self.config, site.key, self.pid)

    @property
    def shard(self) -> Shard:
        """Its private examples."""
        return self.federated.shard(self.pid)

    @property
    def defence(self) -> Defence | None:
        """What it does to what it sends."""
        if not self.deployed or self.config.privacy is None:
            return defence_of(self.config, self.federated)
        given = self._given_recipe()  # the server may ask for a larger batch
        return defence_of(self.config, self.federated, given, given.batch_size)

    def _given_recipe(self) -> Recipe:
        """The recipe that the run's options name, of which an error tells nothing.

        Raises:
            WireError: it cannot be used; the path came from the server, the file is this node's.
        """
        try:
            return given_recipe(self.config)
        except RecipeError as error:
            raise WireError("the recipe that the run names cannot be used on this node") from error

    def refuse_large_model(self, classes: int) -> None:
        """Refuse a model that is larger than the node allows.

        Raises:
            WireError: with its size, and what is allowed.
        """
        most = self.limits.model_bytes
        size = find_model(self.config.model, classes).fp32_bytes()
        if size > most:
            raise WireError(f"a model of {size:,} bytes is asked for, this node allows {most:,}")

    def protocol_client(self, defence: Defence | None = None) -> ProtocolClient:
        """A client of the run's protocol; a deployed one keeps to its node's limits."""
        config, federated, limits = self.config, self.federated, self.limits
        trainer = self._given.trainer or Trainer(compute_of(config))
        dp = defence.dp_sgd if defence is not None and defence.unit == "example" else None
        if self.deployed:  # each message has a workload of its own
            self.refuse_large_model(federated.dataset.labels)
            workload = Workload(limits.tokens, limits.steps, limits.batch)
            trainer = Trainer(trainer.compute, dp, workload)
        elif dp is not None:
            trainer = Trainer(trainer.compute, dp)
        shared: dict[str, Any] = {
            "trainer": trainer, "public": federated.public, "defence": defence,
        }  # fmt: skip
        client: ProtocolClient = find_protocol(config.protocol).make_client(
            config.options, **shared
        )
        if config.start_options is not None:
            first = find_protocol(LEXICON).make_client(config.start_options, **shared)
            client = StagedClient(first, client)
        if self.deployed:
            client.architecture = config.model, federated.dataset.labels
        return client

    def _seed(self, round_number: int) -> int:
        """What a round's random choices begin with.

        Raises:
            WireError: the privacy budget does not cover the round, or not once more.
        """
        config = self.config
        if config.privacy is None:
            return config.run_seed
        rounds = config.rounds
        if self.deployed:  # the rounds that epsilon allows, whatever the server asks for
            rounds = within_budget(config, self._given_recipe(), self.federated)[0].rounds
        if round_number > rounds:
            raise WireError(f"round {round_number} is not in the privacy budget")
        if not self.deployed:
            return config.run_seed
        self._spend(round_number)
        # Noise that whoever knows the options can draw again hides nothing.
        return secrets.randbits(256)

    def _spend(self, round_number: int) -> None:
        """Note that a round is answered, before it is: noise is gone from a mean of many answers.

        Raises:
            WireError: it was answered before, or the node's whole budget is spent.
        """
        counters, terms = self.counters, self.terms
        if round_number <= _number(counters, _ANSWERED):
            raise WireError(f"round {round_number} is past: the privacy budget covers it once")
        if self.state is not None and self.config.epsilon is not None:
            if terms is None:
                raise WireError("no terms were agreed with this node: it answers no round")
            self.state.spend(terms.study, self.config.epsilon, self.limits.epsilon)
        counters[_ANSWERED] = round_number.to_bytes(8, "little")

    def _task(self, payload: bytes) -> ClientTask:
        number = self.round_number
        rng = generator(self._seed(number), "train", number, self.pid)
        return ClientTask(payload, self.shard, self.memory, rng)

    def contribution(self) -> bytes:
        """What it sends in a round: it trains on its shard as the payload says.

        Under secure aggregation it is a masked vector, whatever the server asks for.
        """
        number, payload, config = self.round_number, self.payload, self.config
        client = self.protocol_client(self.defence)
        if not config.secure_aggregation:
            return client.contribute(self._task(payload))
        return self.sum_client().mask(
            str(number), payload, lambda asked: client.addend(self._task(asked), config.cohort_size)
        )

    def tested(self) -> bytes:
        """Its test run of a product; under secure aggregation of several products, in one sum.

        Raises:
            WireError: the request is malformed.
        """
        if not (self.config.secure_aggregation and self.config.tested_by_clients):
            return encode_counts(self.test(self.group, self.payload))
        return self.sum_client().mask(self.group, self.payload, self._tests)

    def _tests(self, asked: bytes) -> Words:
        runs = [self.test(name, product) for name, product in read_products(asked)]
        return np.concatenate([to_words(one) for one in runs])

    def test(self, product: str, payload: bytes) -> ClassCounts:
        """How the model does that it makes of a product, on its test texts."""
        config, federated = self.config, self.federated
        rng = generator(config.run_seed, "evaluate", 0, self.pid)
        # What is grown stays here, and its test is the study's: neither is noised.
        client, table = self.protocol_client(), federated.dataset.table
        self._note_test()
        rows, classes = federated.test_rows(self.pid), federated.dataset.labels
        if not len(rows):
            return ClassCounts((0,) * classes, (0,) * classes)
        if product == ALONE and config.tested_by_clients:
            if config.privacy is not None:
                raise WireError("a model without noise is not in the privacy budget")
            return tested_alone(table, self.shard.whole(), rows, classes, config.length)
        model, length = client.grow(ClientTask(payload, self.shard, self.memory, rng))
        predictions = client.trainer.predict(model, table, rows, length)
        return count_correct(predictions, table.labels[rows])

    def _note_test(self) -> None:
        """Count a test.

        Raises:
            WireError: the node tells none, none but in a sum, or not so many.
        """
        if not self.deployed:
            return
        site = self.site
        told = "own" if site is None else site.tests
        if told == "none" or (told == "summed" and not self.config.secure_aggregation):
            raise WireError(f"this node's tests are '{told}': it tells no counts of its own")
        counters, most = self.counters, self.limits.tests
        if self.config.privacy is not None:
            most = min(most, self._planned_tests())
        tests = _number(counters, _TESTED) + 1
        if tests > most:
            raise WireError(f"more than {most} tests are not in the privacy budget or the limits")
        counters[_TESTED] = tests.to_bytes(8, "little")

    def _planned_tests(self) -> int:
        """Of what was given and what was aggregated; by clients also of each alone, and rounds."""
        config = self.config
        if not config.tested_by_clients:
            return 2
        return 2 + (0 if config.test_every is None else config.rounds // config.test_every)


def read_products(asked: bytes) -> list[tuple[str, bytes]]:
    """Names and bytes of the products in a request, in the order of the sum.

    Raises:
        WireError: there are none or too many, or names and products do not match.
    """
    parts, written = split_parts(asked)
    try:
        names = json.loads(written)
    except (ValueError, RecursionError):
        names = None
    few = isinstance(names, list) and 0 < len(names) <= _MOST_PRODUCTS
    if not few or not all(isinstance(name, str) for name in names):
        raise WireError("the message names no products")
    if parts.keys() != set(range(len(names))):
        raise WireError("the message names other products than it holds")
    return [(name, parts[place]) for place, name in enumerate(names)]


def _number(memory: Memory, name: str) -> int:
    return int.from_bytes(memory.get(name, b""), "little")
