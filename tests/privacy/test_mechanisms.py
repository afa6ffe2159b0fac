"""Defences: mechanisms, what protocols send under them, options, budgets and whole runs."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedseed.config import RunConfig
from fedseed.errors import ConfigError, WireError
from fedseed.federation.privacy_budget import defence_of
from fedseed.privacy.accounting import randomised_response_spent, spent
from fedseed.privacy.mechanisms import (
    Defence,
    coarse_metrics,
    keep_probability,
    noisy_loss,
    noisy_vector,
    randomised_response,
    unbiased_shares,
    worst_loss,
)
from fedseed.protocols import find_protocol
from fedseed.protocols.base import ClientTask
from fedseed.protocols.labels.messages import decode_labels
from fedseed.protocols.recipe.messages import SCORE_BYTES, RecipeScore, why_absurd
from fedseed.protocols.shared_model import HEAD_BYTES, flat_weights
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.runs.plan import Plan, make_plan
from tests.test_cli import Command, refused

EXAMPLE = {"protocol": "weights", "privacy": "example"}
WEIGHTS = {"protocol": "weights", "privacy": "client"}
LABELS = {"protocol": "labels", "privacy": "client", "public": "reviews:80", "distil_steps": 2}
RECIPE = {"protocol": "recipe", "privacy": "client"}

BAD: list[tuple[dict[str, Any], str]] = [
    ({"privacy": "everything"}, "privacy"),
    (EXAMPLE, "--privacy example needs --epsilon, a budget, or --noise"),
    (EXAMPLE | {"epsilon": 0}, "epsilon = 0"),
    (EXAMPLE | {"epsilon": -1, "clip": 1}, "epsilon = -1"),
    (EXAMPLE | {"epsilon": "nan", "clip": 1}, "epsilon"),
    (EXAMPLE | {"epsilon": "inf", "clip": 1}, "epsilon"),
    (EXAMPLE | {"epsilon": 1, "clip": 1, "delta": 0}, "delta = 0"),
    (EXAMPLE | {"epsilon": 1, "clip": 1, "delta": 1}, "delta = 1"),
    (EXAMPLE | {"epsilon": 1, "clip": 0}, "clip = 0"),
    (EXAMPLE | {"noise": -1, "clip": 1}, "noise = -1"),
    (EXAMPLE | {"noise": "inf", "clip": 1}, "noise"),
    (EXAMPLE | {"noise": 1}, "--noise needs --clip"),
    (EXAMPLE | {"epsilon": 1}, "--epsilon needs --clip"),
    (WEIGHTS | {"noise": 1}, "--noise needs --clip"),
    ({"epsilon": 1}, "--epsilon needs --privacy"),
    ({"noise": 1}, "--noise needs --privacy"),
    ({"clip": 1}, "--clip needs --privacy"),
    ({"delta": 0.1}, "--delta needs --privacy"),
    ({"privacy": "example", "epsilon": 1, "clip": 1}, "does not cover the validation scores"),
    (
        EXAMPLE | {"protocol": "mask", "epsilon": 1, "clip": 1},
        "weights, adapters, labels or lexicon",
    ),
    (
        EXAMPLE | {"protocol": "scalars", "epsilon": 1, "clip": 1},
        "weights, adapters, labels or lexicon",
    ),
    (
        WEIGHTS | {"protocol": "adapters", "epsilon": 1},
        "use --protocol weights, labels, lexicon or recipe",
    ),
    (WEIGHTS | {"epsilon": 1, "clip": 1, "codec": "topk"}, "use fp32 or fp16"),
    (LABELS | {"epsilon": 1, "label_bits": 4}, "leave out --label-bits"),
    (LABELS | {"noise": 1}, "give --epsilon"),
    (LABELS | {"epsilon": 1, "clip": 1}, "leave it out"),
    (RECIPE | {"epsilon": 1, "clip": 1}, "leave it out"),
    (RECIPE | {"epsilon": 1, "metric_threshold": 9}, "leave one of them out"),
    (RECIPE | {"epsilon": 1, "noise": 0}, "one round costs epsilon = inf"),
    (RECIPE | {"epsilon": 1, "noise": 1}, "one round costs epsilon = 4.37"),
    (RECIPE | {"epsilon": 1e-12, "delta": 1e-12}, "asks for endless noise"),
    ({"metric_digits": 7}, "metric-digits = 7"),
    ({"metric_threshold": 0}, "metric-threshold = 0"),
    ({"protocol": "weights", "metric_digits": 2}, "is an option of protocol recipe"),
    ({"protocol": "labels", "metric_threshold": 2}, "is an option of protocol recipe"),
]


@pytest.mark.parametrize(("change", "says"), BAD, ids=[f"{c}" for c, _ in BAD])
def test_bad_options(command: Command, tmp_path: Path, change: dict[str, Any], says: str) -> None:
    refused(command(out=tmp_path / "out", **change), says)
    assert not (tmp_path / "out").exists()


def test_a_vector_is_clipped_and_noised() -> None:
    rng = generator(1, "test")
    vector = rng.standard_normal(20_000).astype(np.float32)
    assert np.linalg.norm(noisy_vector(vector, 0.5, 0.0, rng)) == pytest.approx(0.5, rel=1e-4)
    assert np.array_equal(noisy_vector(vector, 1e3, 0.0, rng), vector)
    added = noisy_vector(vector, 1e3, 0.002, rng) - vector
    assert added.std() == pytest.approx(2.0, rel=0.03)
    assert abs(added.mean()) < 0.05
    for absurd in (np.nan, np.inf):
        vector[3] = absurd
        assert not noisy_vector(vector, 1.0, 0.0, rng).any()


@pytest.mark.parametrize("classes", [2, 5])
def test_randomised_response_has_its_epsilon_and_is_debiased(classes: int) -> None:
    rng, count, each = generator(2, "test", classes), 200_000, 1.2
    told = randomised_response(np.ones(count, dtype=np.int64), each, classes, rng)
    shares = np.bincount(told, minlength=classes) / count
    # The definition: the most likely answer is e^epsilon times as likely as any other.
    for other in set(range(classes)) - {1}:
        assert math.log(shares[1] / shares[other]) == pytest.approx(each, abs=0.03)
    mixed = np.where(rng.random(count) < 0.7, 0, 1)
    told = randomised_response(mixed, each, classes, rng)
    seen = (np.bincount(told, minlength=classes) / count).astype(np.float32)[None]
    found = unbiased_shares(seen, each)
    assert np.allclose(found[0, :2], [0.7, 0.3], atol=0.01)
    assert np.allclose(found.sum(), 1)


def test_impossible_shares_are_brought_back() -> None:
    told = keep_probability(0.01, 2)
    assert told == pytest.approx(math.exp(0.01) / (math.exp(0.01) + 1))
    found = unbiased_shares(np.array([[1, 0], [0.25, 0.75], [0.5, 0.5]], np.float32), 0.01)
    assert np.allclose(found, [[1, 0], [0, 1], [0.5, 0.5]])


def test_a_noisy_loss_is_believable() -> None:
    rng, worst = generator(3, "test"), worst_loss(2)
    assert noisy_loss(math.inf, 2, 0.0, rng) == worst
    assert noisy_loss(math.nan, 2, 0.0, rng) == worst
    assert noisy_loss(50.0, 2, 0.0, rng) == worst
    drawn = np.array([noisy_loss(worst / 2, 2, 0.1, rng) for _ in range(5000)])
    assert drawn.mean() == pytest.approx(worst / 2, rel=0.01)
    assert drawn.std() == pytest.approx(0.1 * worst, rel=0.05)
    recipe = Recipe()
    for _ in range(50):
        loss = round(noisy_loss(0.5, 2, 1000.0, rng), 0)
        score = RecipeScore(False, recipe.steps, 1, 1, 1, loss, 0.0)
        assert why_absurd(score, recipe, 2) is None


def test_coarse_metrics_stay_believable() -> None:
    recipe, rng = Recipe(), generator(4, "test")
    for _ in range(500):
        examples, digits = int(rng.integers(1, 400)), int(rng.integers(0, 4))
        correct = int(rng.integers(0, examples + 1))
        loss = (1 - correct / examples) * math.log(2) * float(1 + 0.2 * rng.random())
        told, right = coarse_metrics(loss, correct, examples, digits)
        assert told == round(told, digits)
        assert abs(right / examples - correct / examples) <= 0.5 * 10**-digits + 0.5 / examples
        score = RecipeScore(False, recipe.steps, 9, examples, right, told, 0.0)
        assert why_absurd(score, recipe, 2) is None
    assert coarse_metrics(0.5432, 77, 100, 1) == (0.5, 80)


def plan_of(small: dict[str, Any], **changes: Any) -> Plan:
    return make_plan(RunConfig.parse(small | changes))


def answer(plan: Plan, defence: Defence | None, pid: int = 0, key: int = 0) -> bytes:
    client = find_protocol(plan.config.protocol).make_client(
        plan.config.options, public=plan.federated.public, defence=defence
    )
    payload = plan.server().configure(1, [pid])[pid]
    rng = generator(key, "train", 1, pid)
    contribution: bytes = client.contribute(ClientTask(payload, plan.federated.shard(pid), {}, rng))
    return contribution


def test_weights_are_noised_around_the_start(small: dict[str, Any]) -> None:
    from fedseed.seeds.assemble import grow

    plan = plan_of(small, **WEIGHTS, noise=3.0, clip=0.01)
    body = answer(plan, defence_of(plan.config, plan.federated))
    start = flat_weights(grow(plan.encoded_seed))
    change = np.frombuffer(body[HEAD_BYTES:], "<f4") - start
    assert change.std() == pytest.approx(0.03, rel=0.01)
    quiet = answer(plan, Defence("client", clip=0.01, most_steps=3))
    change = np.frombuffer(quiet[HEAD_BYTES:], "<f4") - start
    assert np.linalg.norm(change) == pytest.approx(0.01, rel=1e-2)
    # Neither the number of examples nor the loss is told.
    assert body[:HEAD_BYTES] == quiet[:HEAD_BYTES]
    report = plan.server()
    report.configure(1, [0])
    taken = report.aggregate(1, {0: body})[0]
    assert (taken.status, taken.examples, taken.metrics["train_loss"]) == ("ok", 1, None)


def test_what_nobody_noises_is_unchanged(small: dict[str, Any]) -> None:
    plan = plan_of(small, protocol="weights")
    assert defence_of(plan.config, plan.federated) is None
    assert plan.budget is None
    assert answer(plan, None) == answer(plan, Defence())


def test_more_than_the_budget_covers_is_refused(small: dict[str, Any]) -> None:
    plan = plan_of(small, protocol="weights")
    with pytest.raises(WireError, match="3 steps are more"):
        answer(plan, Defence("client", clip=1.0, most_steps=2))
    batch = plan.given.batch_size
    with pytest.raises(WireError, match=f"batches of {batch} are more"):
        answer(plan, Defence("example", clip=1.0, most_steps=3, most_batch=batch - 1))
    with pytest.raises(WireError, match="fp32 or fp16"):
        answer(plan_of(small, protocol="weights", codec="int8"), Defence("client", 1.0, 1.0, 0, 3))
    options = {"protocol": "labels", "public": "reviews:80", "label_bits": 4, "distil_steps": 2}
    with pytest.raises(WireError, match="one bit"):
        answer(plan_of(small, **options), Defence("client", 0, 0, 1.0, 3))
    with pytest.raises(WireError, match="3 scores are more"):
        answer(plan_of(small, recipes_per_client=3), Defence("client", noise=1.0))


def test_labels_are_randomised_and_read_back(small: dict[str, Any]) -> None:
    plan = plan_of(small, **LABELS, epsilon=20.0)
    defence = defence_of(plan.config, plan.federated)
    assert defence is not None
    assert randomised_response_spent(defence.epsilon_each, 160, 1e-5) == pytest.approx(20, rel=1e-2)
    assert plan.budget is not None
    assert plan.budget.epsilon <= 20 * (1 + 1e-6)
    true = decode_labels(answer(plan_of(small, **LABELS, epsilon=1e6), None)[HEAD_BYTES:], 80, 2)
    drawn = [answer(plan, defence, key=key) for key in range(4)]
    told = np.mean([decode_labels(d[HEAD_BYTES:], 80, 2) for d in drawn], axis=0)
    assert 0.5 < (told * true).sum() / 80 < 0.9
    server = plan.server()
    server.configure(1, [0, 1, 2, 3])
    reports = server.aggregate(1, dict(enumerate(drawn)))
    assert {report.status for report in reports.values()} == {"ok"}
    found = server._labels  # type: ignore[attr-defined]
    assert np.allclose(found, unbiased_shares(told.astype(np.float32), defence.epsilon_each))


def test_scores_tell_a_noisy_loss_only(small: dict[str, Any]) -> None:
    plan = plan_of(small, **RECIPE, noise=0.5, recipes_per_client=2, steps=4)
    found = answer(plan, defence_of(plan.config, plan.federated))
    assert len(found) == 2 * SCORE_BYTES
    first = RecipeScore.decode(found[:SCORE_BYTES])
    assert (first.train_examples, first.validation_examples, first.validation_correct) == (1, 1, 1)
    assert (first.diverged, first.train_loss) == (False, 0.0)
    server = plan.server()
    server.configure(1, [0])
    assert server.aggregate(1, {0: found})[0].status == "ok"
    plain = RecipeScore.decode(answer(plan, None)[:SCORE_BYTES])
    silent = RecipeScore.decode(answer(plan, Defence("client", most_releases=2))[:SCORE_BYTES])
    assert silent.validation_loss == plain.validation_loss != first.validation_loss
    assert plan.budget is not None
    assert plan.budget.epsilon == spent(0.5, 1, 4, 1e-5)


def test_metrics_are_coarse_or_silent(small: dict[str, Any]) -> None:
    plan = plan_of(small, metric_digits=1)
    score = RecipeScore.decode(answer(plan, defence_of(plan.config, plan.federated)))
    assert score.validation_loss == round(score.validation_loss, 1)
    size = len(plan.federated.shard(0).validation)
    for threshold, status in ((size, "ok"), (size + 1, "rejected")):
        plan = plan_of(small, metric_threshold=threshold)
        found = answer(plan, defence_of(plan.config, plan.federated))
        server = plan.server()
        server.configure(1, [0])
        assert server.aggregate(1, {0: found})[0].status == status


def test_noise_is_calibrated_or_accounted_for(small: dict[str, Any]) -> None:
    plan = plan_of(small, **WEIGHTS, epsilon=5.0, clip=1.0)
    assert plan.budget is not None
    noise = plan.config.noise
    assert noise is not None
    # Two rounds; any two changes are at most twice the clip apart.
    assert 4.9 < spent(noise / 2, 1, 2, 1e-5) == plan.budget.epsilon <= 5
    again = plan_of(small, **WEIGHTS, epsilon=5.0, clip=1.0, noise=noise)
    assert again.budget == plan.budget
    few = plan_of(small, **WEIGHTS, epsilon=5.0, clip=1.0, noise=noise, rounds=9)
    assert few.budget is not None
    assert few.budget.rounds_within_budget == few.config.rounds == 2
    assert few.budget.rounds_asked == 9
    with pytest.raises(ConfigError, match="one round costs"):
        plan_of(small, **WEIGHTS, epsilon=1.0, clip=1.0, noise=1.0)


def test_the_smallest_shard_counts(small: dict[str, Any]) -> None:
    plan = plan_of(small, **EXAMPLE, noise=1.0, clip=1.0, partition="quantity", alpha=2.0)
    smallest = min(len(part) for part in plan.federated.parts[:3])
    assert plan.budget is not None
    assert plan.budget.epsilon == spent(1.0, min(1.0, 8 / smallest), 6, 1e-5)
    assert defence_of(plan.config, plan.federated).dp_sgd is not None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("options", "noise"),
    [
        (EXAMPLE | {"epsilon": 8, "clip": 1}, True),
        (EXAMPLE | {"protocol": "adapters", "epsilon": 8, "clip": 1}, True),
        (LABELS | {"privacy": "example", "epsilon": 8, "clip": 1}, True),
        (WEIGHTS | {"epsilon": 8, "clip": 1, "codec": "fp16"}, True),
        (LABELS | {"epsilon": 8}, False),
        (RECIPE | {"epsilon": 8}, True),
    ],
    ids=lambda value: str(value),
)
def test_a_whole_run_says_what_it_spent(
    command: Command, tmp_path: Path, options: dict[str, Any], noise: bool
) -> None:
    status, out, err = command(out=tmp_path / "out", **options)
    assert status == 0, err
    assert out.count(f"privacy of each {options['privacy']}: ") == 1
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    privacy = record["provenance"]["privacy"]
    assert set(privacy) == {
        "unit", "epsilon", "delta", "noise", "clip", "mechanism", "rounds_within_budget",
    }  # fmt: skip
    assert 7.8 < privacy["epsilon"] <= 8
    assert (privacy["noise"] is not None) == noise
    assert record["status"] == "completed"
    assert {c["status"] for r in record["rounds"] for c in r["clients"]} == {"ok"}
    assert {c["examples"] for r in record["rounds"] for c in r["clients"]} == {1}


def test_a_run_ends_before_its_budget_does(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = RECIPE | {"noise": 2, "epsilon": 3.5, "rounds": 6}
    assert command(out=out, **options)[0] == 0
    record = json.loads((out / "record.json").read_text())
    done = record["provenance"]["privacy"]["rounds_within_budget"]
    assert (record["status"], len(record["rounds"])) == ("completed", done)
    assert 1 < done < 6 == record["config"]["rounds"]
    assert spent(2.0, 1, done, 1e-5) <= 3.5 < spent(2.0, 1, done + 1, 1e-5)


def test_no_noise_is_said_to_protect_nothing(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert command(out=out, **RECIPE, noise=0)[0] == 0
    record = json.loads((out / "record.json").read_text())
    assert record["provenance"]["privacy"]["epsilon"] is None
