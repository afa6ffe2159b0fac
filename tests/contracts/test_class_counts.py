"""Everything that encodes classes, at 2, 4, 77, 200 and 255 of them: the most that there can be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedseed.attacks.label_distribution.class_shares import fit_and_estimate, label_error
from fedseed.attacks.membership.scores import logit_confidence
from fedseed.config import RunConfig
from fedseed.models.registry import find_model, to_state
from fedseed.privacy.mechanisms import (
    keep_probability,
    noisy_loss,
    randomised_response,
    unbiased_shares,
    worst_loss,
)
from fedseed.protocols import find_protocol, protocol_names
from fedseed.protocols.base import ClientTask
from fedseed.randomness import generator
from fedseed.runs.plan import make_plan
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import assemble, decode, encode
from fedseed.seeds.make import make_row
from fedseed.seeds.registry import seed_rows
from tests.contracts.protocol_contract import RECIPE, World
from tests.topics import write_topics

CLASSES = (2, 4, 77, 200, 255)
OPTIONS: dict[str, dict[str, Any]] = {
    "labels": {"public": "reviews:30", "label_bits": 4, "distil_steps": 2},
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Tables of four texts a class, at least 120, by the number of classes."""
    folder = tmp_path_factory.mktemp("tasks")
    return {n: write_topics(folder / f"{n}.csv", n, max(120, 4 * n)) for n in CLASSES}


@pytest.mark.parametrize("protocol", protocol_names())
@pytest.mark.parametrize("classes", CLASSES)
def test_a_round_of_a_protocol(
    small: dict[str, Any], tables: dict[int, Path], classes: int, protocol: str, tmp_path: Path
) -> None:
    """Contributions are taken, and a newcomer's model has every class."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    options = {
        "data": str(tables[classes]),
        "recipe": str(recipe),
        "protocol": protocol,
        "steps": 2,
    }
    plan = make_plan(RunConfig.parse(small | options | OPTIONS.get(protocol, {})))
    world, server = World(plan), plan.server()
    found = world.round(server, 1, [0, 1])
    assert max(map(len, found.values())) <= 1.1 * server.payload_estimate()["up"] + 100
    assert {report.status for report in server.aggregate(1, found).values()} == {"ok"}
    again = world.round(server, 2, [0, 1])
    assert {report.status for report in server.aggregate(2, again).values()} == {"ok"}
    federated = plan.federated
    client = find_protocol(protocol).make_client(plan.config.options, public=federated.public)
    task = ClientTask(
        server.products()["aggregated"], federated.shard(3), {}, generator(0, "evaluate", 0, 3)
    )
    model, length = client.grow(task)
    rows = federated.test_rows()
    told = client.trainer.predict(model, federated.dataset.table, rows, length)
    assert told.shape == (len(rows), classes)
    assert np.allclose(np.exp(told.astype(np.float64)).sum(axis=1), 1, atol=1e-2)


@pytest.mark.parametrize("row", [row for row in seed_rows() if row != "lexicon"])
@pytest.mark.parametrize("classes", [77, 200, 255])
def test_a_seed(row: str, classes: int) -> None:
    shapes = find_model("bert-tiny", classes).shapes()
    start = assemble(make_row("random-scaled", "bert-tiny", classes, 5, None, None), shapes)
    encoded = encode(make_row(row, "bert-tiny", classes, 5, start, None))
    assert decode(encoded).labels == classes
    assert to_state(grow(encoded))["classifier.weight"].shape[0] == classes


@pytest.mark.parametrize("classes", CLASSES)
def test_randomised_labels_tell_the_shares(classes: int) -> None:
    rng = np.random.default_rng(2)
    true = rng.integers(0, classes, 50)
    told = np.zeros((50, classes), dtype=np.float32)
    for _ in range(400):
        labels = randomised_response(true, 4.0, classes, rng)
        assert labels.min() >= 0
        assert labels.max() < classes
        told += np.eye(classes, dtype=np.float32)[labels]
    assert keep_probability(4.0, classes) > 1 / classes
    shares = unbiased_shares(told / np.float32(400), 4.0)
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert (shares.argmax(axis=1) == true).all()
    assert unbiased_shares(np.eye(classes, dtype=np.float32)[true], 0.01).max() <= 1


@pytest.mark.parametrize("classes", CLASSES)
def test_a_loss_is_noised_within_what_is_believed(classes: int) -> None:
    rng = np.random.default_rng(3)
    losses = [noisy_loss(np.log(classes), classes, 0.1, rng) for _ in range(300)]
    assert np.mean(losses) == pytest.approx(np.log(classes), rel=0.05)
    assert noisy_loss(float("nan"), classes, 0.0, rng) == worst_loss(classes)


@pytest.mark.parametrize("classes", CLASSES)
def test_attacks_on_class_mix_and_membership(classes: int) -> None:
    rng = np.random.default_rng(4)
    shares = rng.dirichlet(np.full(classes, 0.5), 60)
    features = shares @ rng.normal(size=(classes, 2 * classes))
    estimated = fit_and_estimate(features[:40], shares[:40], features[40:])
    assert np.allclose(estimated.sum(axis=1), 1)
    guessed = np.broadcast_to(shares[:40].mean(axis=0), (20, classes))
    errors = [label_error(one, shares[40:]).mean() for one in (estimated, guessed)]
    assert errors[0] < errors[1]
    likelihoods = np.log(rng.dirichlet(np.ones(classes), 30))
    signals = logit_confidence(likelihoods, rng.integers(0, classes, 30))
    assert np.isfinite(signals).all()
