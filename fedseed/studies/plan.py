"""Plan: everything a federated run has decided before the first message."""

from dataclasses import dataclass
from pathlib import Path

from fedseed.aggregators import AGGREGATORS, RecipeSpace
from fedseed.config import RunConfig
from fedseed.data.site import Site, make_site, open_dataset
from fedseed.data.tokens import Progress
from fedseed.errors import ConfigError, SeedError
from fedseed.federation.client_app import compute_of
from fedseed.models.causal import CAUSAL
from fedseed.models.registry import find_model
from fedseed.protocols.base import ProtocolServer
from fedseed.protocols.recipe import SCORE_BYTES, RecipeServer, encode_request
from fedseed.protocols.weights import HEAD_BYTES, WeightsServer, encode_download
from fedseed.randomness import random_key
from fedseed.recipe import Recipe
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import assemble, encode, read_seed
from fedseed.studies.original import start_seed
from fedseed.training import Compute


@dataclass(frozen=True)
class Plan:
    """A run's configuration with every default resolved, its seed, recipe and data."""

    config: RunConfig
    given: Recipe
    seed: Seed
    site: Site

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

    def fp32_model_bytes(self) -> int:
        """What sending the weights once would cost."""
        return find_model(self.seed.model, self.seed.labels).fp32_bytes()

    def parameters(self) -> int:
        """Number of the model's weights."""
        return self.fp32_model_bytes() // 4

    def server(self) -> ProtocolServer:
        """The protocol's server side."""
        config = self.config
        if config.protocol == "weights":
            recipe = self.given.replace(steps=config.steps)
            return WeightsServer(self.encoded_seed, self.given, recipe, self.parameters())
        aggregator = AGGREGATORS[config.aggregator](
            RecipeSpace.around(self.given, config.steps // config.recipes_per_client),
            self.given,
            config.rounds,
            config.run_seed,
        )
        return RecipeServer(
            self.encoded_seed, self.given, aggregator, self.seed.labels, config.recipes_per_client
        )

    def payload_estimate(self) -> dict[str, int]:
        """Payload bytes of one client: down in round 1 and later, up in each round."""
        recipes = [self.given] * self.config.recipes_per_client
        digest = bytes(32)
        if self.config.protocol == "weights":
            size = self.fp32_model_bytes()
            return {
                "down_first": len(encode_download(self.encoded_seed, digest, self.given, None)),
                "down_later": len(encode_download(None, digest, self.given, None)) + size,
                "up": size + HEAD_BYTES,
            }
        return {
            "down_first": len(encode_request(self.encoded_seed, digest, recipes)),
            "down_later": len(encode_request(None, digest, recipes)),
            "up": len(recipes) * SCORE_BYTES,
        }


def make_plan(config: RunConfig, progress: Progress | None = None) -> Plan:
    """Resolve a configuration, and refuse what cannot work before anything is written.

    Args:
        config: the options.
        progress: called with texts done and texts in all while tokenising.

    Raises:
        InputError: data, model, seed or recipe cannot be used, or do not fit together.
    """
    config = config.with_quick()
    if config.protocol == "recipe":
        import scipy.stats  # noqa: F401  # slow to import: now, while the workers start
    compute_of(config)  # refuse a device that is not here
    given = config.given_recipe()
    stored = read_seed(Path(config.seed_file)) if config.seed_file else None
    if stored and stored.labels == CAUSAL:
        raise SeedError("the seed is of a language model: give one of a classifier")
    length = config.max_length or given.max_length
    if given.max_length > length:
        raise ConfigError(
            f"the recipe's max_length {given.max_length} is more than --max-length {length}: "
            "raise the option or lower the recipe's"
        )
    model = stored.model if stored else config.model
    if stored and config.model not in (model, RunConfig.model_fields["model"].default):
        raise SeedError(f"the seed is for {model}, not {config.model}: leave out --model")
    config = config.parse(config.model_dump() | {"max_length": length, "model": model})
    dataset = open_dataset(config, progress)
    key = random_key(config.run_seed, "seed")
    seed = stored or start_seed(model, dataset.labels, config.scheme, key)
    if seed.labels != dataset.labels:
        raise SeedError(
            f"the seed is for {seed.labels} classes, {dataset.source} has {dataset.labels}: "
            "give another --seed-file or --data"
        )
    if seed.kind != "random":  # refuse weights that do not fit before anything is written
        assemble(seed, find_model(seed.model, seed.labels).shapes())
    return Plan(config, given, seed, make_site(config, dataset))
