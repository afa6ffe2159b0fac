"""Plan: everything a federated run has decided before the first message."""

import functools
from dataclasses import dataclass
from pathlib import Path

from fedseed.config import RunConfig
from fedseed.data.clients import partitioned
from fedseed.data.federated_dataset import FederatedDataset, open_dataset
from fedseed.data.natural import natural_clients
from fedseed.data.site_options import SITES
from fedseed.data.sites.federated import (
    dataset_of_sites,
    empty_dataset,
    open_server_test,
    sites_of,
    told_classes,
)
from fedseed.data.tokenise import Progress
from fedseed.data.tokens import Dataset
from fedseed.errors import ConfigError, SeedError
from fedseed.federation.client import compute_of
from fedseed.federation.privacy_budget import defence_of, within_budget
from fedseed.federation.strategies import make_aggregator
from fedseed.given_recipe import given_recipe, recipe_alone
from fedseed.models.architecture import CAUSAL, FROM_PRNG, REGISTRY
from fedseed.models.head import order_note, start_notes
from fedseed.models.registry import find_model
from fedseed.models.weight_files import stored_tensors
from fedseed.privacy.budget import Budget
from fedseed.protocols import find_protocol
from fedseed.protocols.base import ProtocolServer, Setup
from fedseed.protocols.staged import StagedServer
from fedseed.protocols.start import LEXICON
from fedseed.randomness import random_key
from fedseed.recipe import Recipe
from fedseed.runs.original import start_seed
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import assemble, describe, encode, read_seed
from fedseed.seeds.kinds.lexicon import can_carry
from fedseed.seeds.registry import find_kind
from fedseed.training import Compute, Trainer


@dataclass(frozen=True)
class Plan:
    """A run's configuration with every default resolved, its seed, recipe and data."""

    config: RunConfig
    given: Recipe
    seed: Seed
    federated: FederatedDataset
    budget: Budget | None = None
    """What differential privacy costs; the configuration has its noise and rounds."""
    sites: tuple[str, ...] | None = None
    """Names of a simulation's sites, by partition; None without sites, or before they are asked."""
    server_test: Dataset | None = None
    """Texts that the server itself has, to test on."""

    @property
    def encoded_seed(self) -> bytes:
        """The seed's bytes."""
        return encode(self.seed)

    @property
    def max_length(self) -> int:
        """Tokens kept of each text."""
        assert self.config.max_length is not None
        return self.config.max_length

    @property
    def compute(self) -> Compute:
        """Precision and device on this machine."""
        return compute_of(self.config)

    @property
    def model_notes(self) -> tuple[str, ...]:
        """What of a published model is drawn at random, and how its head's classes are taken."""
        name, classes = self.seed.model, self.federated.dataset.classes
        made_from = find_kind(self.seed.kind).made_from
        if made_from == "name":
            return start_notes(find_model(name, self.seed.labels), classes)
        note = None if name in REGISTRY or made_from == "key" else order_note(name, classes)
        return () if note is None else (note,)

    @functools.cached_property
    def warnings(self) -> list[str]:
        """What does not turn out as it was asked for, a line each."""
        config, federated = self.config, self.federated
        topped_up = federated.topped_up
        lines = config.options.warnings(config.cohort_size)
        if topped_up:
            more = "lower --clients" if config.partition == "shards" else "raise --alpha"
            lines.append(
                f"--partition {config.partition} left {topped_up} of {len(federated.parts)} "
                f"clients without an example: each was given one of the largest client's; {more}"
            )
        return lines

    def fp32_model_bytes(self) -> int:
        """What sending the weights once would cost."""
        return find_model(self.seed.model, self.seed.labels).fp32_bytes()

    def setup(self) -> Setup:
        """What the protocol's server side starts from; all of it is public."""
        config, model = self.config, find_model(self.seed.model, self.seed.labels)
        return Setup(
            protocol=find_protocol(config.protocol), options=config.options,
            seed=self.encoded_seed, given=self.given, rounds=config.rounds, steps=config.steps,
            cohort_size=config.cohort_size, run_seed=config.run_seed, model=self.seed.model,
            classes=self.seed.labels, shapes=model.shapes(), trainer=Trainer(self.compute),
            public=self.federated.public, make_aggregator=make_aggregator,
            defence=defence_of(config, self.federated, self.given),
            alone=recipe_alone(config, self.given),
        )  # fmt: skip

    def server(self) -> ProtocolServer:
        """The protocol's server side."""
        config, setup = self.config, self.setup()
        if config.start_options is not None:
            return StagedServer(setup, find_protocol(LEXICON), config.start_options)
        server: ProtocolServer = setup.protocol.make_server(setup)
        return server


def make_plan(
    config: RunConfig, progress: Progress | None = None, given: Recipe | None = None
) -> Plan:
    """Resolve a configuration, and refuse what cannot work before anything is written.

    Args:
        config: the options.
        progress: called with texts done and texts in all while tokenising.
        given: the given recipe; the one that the options name when None.

    Raises:
        InputError: data, model, seed or recipe cannot be used, or do not fit together.
    """
    asked = config.model if "model" in config.model_fields_set else None
    config, many = config.with_quick(), "clients" in config.model_fields_set
    if find_protocol(config.protocol).ends_with == "recipe":
        import scipy.stats  # noqa: F401  # slow to import: now, while the workers start
    compute_of(config)  # refuse a device that is not here
    stored = read_seed(Path(config.seed_file)) if config.seed_file else None
    given = _usual(config, stored) if given is None else given
    if stored and stored.labels == CAUSAL:
        raise SeedError("the seed is of a language model: give one of a classifier")
    length = _length(config, given)
    model = stored.model if stored else config.model
    if asked not in (None, model):
        raise SeedError(f"the seed is for {model}, not {asked}: leave out --model")
    config = config.replace(max_length=length, model=model)
    if stored is None and model not in FROM_PRNG:  # refuse now a folder that lacks something
        stored_tensors(model)
    config, federated, sites = _opened(config, many, progress)
    dataset = federated.dataset
    key = random_key(config.run_seed, "seed")
    seed = stored or start_seed(model, dataset.classes, config.scheme, key)
    if seed.labels != dataset.labels:
        raise SeedError(
            f"the seed is for {seed.labels} classes, {dataset.source} has {dataset.labels}: "
            "give another --seed-file or --data"
        )
    if find_kind(seed.kind).made_from != "key":  # refuse now weights that do not fit
        assemble(seed, find_model(seed.model, seed.labels).shapes())
    _refuse_another_order(seed, dataset)
    config, budget = within_budget(config, given, federated)
    own = open_server_test(config, federated.public, progress)
    return Plan(config, given, seed, federated, budget, sites, own)


_Opened = tuple[RunConfig, FederatedDataset, tuple[str, ...] | None]
"""Options, data, and names of sites."""


def _opened(config: RunConfig, many: bool, progress: Progress | None) -> _Opened:
    """The data of a run, and its options once the data are known.

    Args:
        config: the options.
        many: whether the number of clients was given.
        progress: see :func:`make_plan`.
    """
    if config.of_sites:
        return _opened_sites(config, progress)
    dataset = open_dataset(config, progress)
    config = _with_start(config.for_classes(dataset.labels), dataset)
    config = config.replace(clients=natural_clients(config, dataset, many))
    return config, partitioned(config, dataset), None


def _opened_sites(config: RunConfig, progress: Progress | None) -> _Opened:
    """The same where each client has a table of its own: of a deployment no text is here."""
    sites = [] if config.data == SITES else sites_of(config)
    if config.classes is None:
        config = config.replace(classes=told_classes(config, sites))
    config = _with_start(config.for_classes(len(config.class_names)), empty_dataset(config).dataset)
    _refuse_nothing_to_test(config)
    if not sites:
        return config, empty_dataset(config), None
    federated = dataset_of_sites(config, sites, progress)
    return config, federated, tuple(site.name for site in sites[: len(federated.parts)])


def _refuse_nothing_to_test(config: RunConfig) -> None:
    """Refuse a server's test of a run that ends with recipes alone."""
    ends_with = find_protocol(config.protocol).ends_with
    if config.server_test and ends_with == "recipe" and config.start_options is None:
        raise ConfigError(
            f"--server-test: with --protocol {config.protocol} and --start {config.start} the "
            "server has no model: give --start lexicon, or another protocol"
        )


def _usual(config: RunConfig, stored: Seed | None) -> Recipe:
    """How clients train from a new seed, or from a stored one's model and words."""
    if stored is None:
        return given_recipe(config)
    from_words = find_kind(stored.kind).made_from == "texts"
    return given_recipe(config.replace(model=stored.model), from_words)


def _length(config: RunConfig, given: Recipe) -> int:
    """Tokens kept of each text; refuses a recipe that would keep more."""
    length = config.max_length or given.max_length
    if given.max_length > length:
        raise ConfigError(
            f"the recipe's max_length {given.max_length} is more than --max-length {length}: "
            "raise the option or lower the recipe's"
        )
    return length


_CLASS_BYTES = 100
"""Of a lexicon seed, for each class: in less, words are too few to begin from (77 classes in 2,000
bytes took newcomers to 45 % where a random seed takes them to 58 %)."""


def _with_start(config: RunConfig, dataset: Dataset) -> RunConfig:
    """What rounds begin from; by default no lexicon of more classes than can be held."""
    options = config.start_options
    if config.start == "auto" and options is not None:
        room = int(getattr(options, "seed_bytes", 0)) // _CLASS_BYTES
        if dataset.labels > room or not can_carry(config.model, dataset.labels):
            return config.from_random()
    return config.replace(start=config.resolved_start)


def _refuse_another_order(seed: Seed, dataset: Dataset) -> None:
    """Refuse a seed of published weights that takes the head's classes in another order."""
    if find_kind(seed.kind).made_from != "name":
        return
    about = describe(seed)
    again = start_seed(seed.model, dataset.classes, "", int(str(about["key"])))
    if describe(again).get("head_rows") != about.get("head_rows"):
        raise SeedError(
            f"the seed takes the classes of {seed.model} in another order than the names of the "
            "data's classes say: leave out --seed-file and give --model"
        )
