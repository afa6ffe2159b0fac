"""What differential privacy costs a run, and what its clients do for it."""

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import FederatedDataset
from fedseed.given_recipe import given_recipe
from fedseed.privacy.budget import Budget, ClientWork, make_budget, make_defence
from fedseed.privacy.mechanisms import Defence
from fedseed.privacy.protection import CountingNoise, GaussianNoise, Protection
from fedseed.protocols import find_protocol
from fedseed.recipe import Recipe


def within_budget(
    config: RunConfig, given: Recipe, federated: FederatedDataset
) -> tuple[RunConfig, Budget | None]:
    """Decide noise and rounds.

    Args:
        config: the options.
        given: the recipe by which clients train; its batch size counts.
        federated: the shards; the smallest counts.

    Returns:
        The options with delta, noise and the number of rounds that the budget allows, and what they
        spend; the options as they were, and None, without ``--privacy``.

    Raises:
        ConfigError: not one round is within the budget.
    """
    protection = _protection(config)
    if protection is None:
        return config, None
    budget = make_budget(config, protection, _work(config, protection, given, federated))
    resolved = config.replace(
        delta=budget.delta, noise=budget.noise, rounds=budget.rounds_within_budget
    )
    return resolved, budget


def defence_of(
    config: RunConfig,
    federated: FederatedDataset,
    given: Recipe | None = None,
    most_batch: int | None = None,
) -> Defence | None:
    """What a client does; None when there is nothing to do.

    Args:
        config: the options; those of a simulation come with their noise.
        federated: the shards.
        given: the recipe by which clients train; the one that the options name when None.
        most_batch: examples of one step that are accounted for; None when the server is this
            process.

    Raises:
        ConfigError: not one round is within the budget.
    """
    protection = _protection(config)
    if protection is None:
        return None
    if given is None:  # once the noise is known, nothing depends on it
        given = given_recipe(config) if config.noise is None else Recipe()
    work = _work(config, protection, given, federated)
    return make_defence(config, protection, work, most_batch)


def _protection(config: RunConfig) -> Protection | None:
    if config.privacy is None:
        return None
    return find_protocol(config.protocol).privacy[config.privacy]


def _work(
    config: RunConfig, protection: Protection, given: Recipe, federated: FederatedDataset
) -> ClientWork:
    releases = 1
    if isinstance(protection, GaussianNoise):
        releases = protection.releases(config.options)
    share, numbers = 1.0, None
    if isinstance(protection, CountingNoise):
        numbers = None if protection.numbers is None else protection.numbers(config.options)
        if config.secure_aggregation:
            share = 1 / config.resolved_threshold
    public = federated.public
    return ClientWork(
        rounds=config.rounds, steps=config.steps, batch_size=given.batch_size,
        smallest_shard=federated.smallest_shard,
        releases=releases, public_texts=0 if public is None else len(public.rows),
        share=share, numbers=numbers,
    )  # fmt: skip
