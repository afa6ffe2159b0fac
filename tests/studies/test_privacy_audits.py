"""The audits of the privacy study: of the training that clients do, right and with a mistake."""

from typing import Any

import pytest

from fedseed.studies.privacy.defences import Setting
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.plans import defended
from fedseed.studies.privacy.planted_run import planted_run
from fedseed.studies.privacy.repeated_audits import repeated_audit

_HEAD = Setting("head", "example", clients=10, model="minilm", test_examples=20)


@pytest.fixture(scope="module")
def config(options: dict[str, Any]) -> PrivacyOptions:
    """Of 60 answers, and of 400 planted texts."""
    small = {"clients": 2, "shard": 20, "population": 20, "references": 7, "audit_answers": 60}
    return PrivacyOptions.parse(options | small | {"audit_secrets": 400})


def _of_head(config: PrivacyOptions, epsilon: float, too_little: float) -> dict[str, Any]:
    return _repeated(config, _HEAD, epsilon, too_little)


def _repeated(
    config: PrivacyOptions, setting: Setting, epsilon: float, too_little: float
) -> dict[str, Any]:
    named = setting.arguments()
    asked = {"setting": named, "epsilon": epsilon, "too_little": too_little, "repeat": 0}
    return repeated_audit(config, asked)


@pytest.mark.parametrize("secure", [True, False])
def test_many_answers_of_counts_bound_epsilon_and_refute_too_little_noise(
    config: PrivacyOptions, secure: bool
) -> None:
    counts = Setting("lexicon-counts", "example", secure=secure, clients=3)
    found = _repeated(config.replace(audit_answers=400), counts, 8.0, 1.0)
    assert 1 < found["epsilon"] <= found["claimed"] <= 8
    found = _repeated(config, counts, 2.0, 8.0)
    assert found["epsilon"] > 2 >= found["claimed"]


def test_many_whole_models_bound_epsilon_and_refute_too_little_noise(
    config: PrivacyOptions,
) -> None:
    weights = Setting("weights", "example")
    found = _repeated(config.replace(audit_answers=160), weights, 8.0, 1.0)
    assert found["answers"] == 60  # of half as many as were asked for
    assert 0.5 < found["epsilon"] <= found["claimed"] <= 8
    found = _repeated(config, weights, 2.0, 8.0)
    assert found["epsilon"] > 2 >= found["claimed"]


def test_many_answers_of_a_trained_head_bound_epsilon_below_its_claim(
    config: PrivacyOptions,
) -> None:
    found = _of_head(config, 8.0, 1.0)
    assert (found["answers"], found["confidence"]) == (45, 0.975)
    assert 7.9 < found["claimed"] <= 8
    assert 1 < found["epsilon"] <= found["claimed"]
    assert _of_head(config, 0.5, 1.0)["epsilon"] <= 0.5
    assert _of_head(config, 8.0, 1.0) == found


def test_many_answers_refute_a_head_with_a_quarter_of_the_noise(config: PrivacyOptions) -> None:
    found = _of_head(config, 4.0, 4.0)
    assert found["epsilon"] > found["claimed"] > 3.9


def test_planted_texts_bound_epsilon_and_refute_too_little_noise(
    config: PrivacyOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = planted_run(config, {"row": "weights", "epsilon": 8.0, "repeat": 0})
    assert 0.5 < found["audit"]["epsilon"] <= found["claimed"] <= 8
    asked = {"row": "weights", "epsilon": 1.0, "repeat": 0}
    found = planted_run(config, asked)
    assert found["audit"]["examples"] == 400
    assert found["audit"]["epsilon"] <= found["claimed"] <= 1

    def mistaken(*arguments: Any) -> Any:
        run, claimed = defended(*arguments)
        assert run.noise is not None
        return run.replace(noise=run.noise / 8), claimed

    monkeypatch.setattr("fedseed.studies.privacy.planted_run.defended", mistaken)
    found = planted_run(config, asked)
    assert found["audit"]["epsilon"] > 1 >= found["claimed"]


def test_without_noise_planted_texts_are_told_apart(config: PrivacyOptions) -> None:
    found = planted_run(config, {"row": "weights", "epsilon": None, "repeat": 1})
    assert found["claimed"] is None
    assert found["audit"]["epsilon"] > 1.5
