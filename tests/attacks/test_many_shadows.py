"""Many shadow runs: on signals whose truth is known."""

from typing import Any

import numpy as np
import pytest

from fedseed.attacks import attacks
from fedseed.attacks.evidence import Evidence, pack
from fedseed.attacks.many_shadows.by_record import by_record
from fedseed.attacks.many_shadows.stacking import Query, all_scores

RUNS, TEXTS, POPULATION = 24, 120, 40


def world(effect: float, seed: int = 0) -> tuple[Any, Any]:
    """Texts of very different difficulty; being trained on adds the same to each."""
    rng = np.random.default_rng(seed)
    members = rng.random((RUNS, TEXTS)) < 0.5
    hard = rng.normal(0, 4, TEXTS)
    candidates = hard + rng.normal(0, 1, (RUNS, TEXTS)) + effect * members
    return np.hstack([candidates, rng.normal(0, 4, (RUNS, POPULATION))]), members


def judged(effect: float) -> dict[str, Any]:
    signals, members = world(effect)
    runs = [{"signals": [pack(row), pack(row / 2)]} for row in signals]
    owners = [np.where(held, 0, -1) for held in members]
    cells = attacks()["many-shadows"].cells(Evidence("server", runs, owners))
    return {cell["attack"].removeprefix("membership, "): cell for cell in cells}


def test_shadows_find_what_one_threshold_does_not() -> None:
    cells = judged(2.0)
    aucs = {name: cell["auc"]["value"] for name, cell in cells.items()}
    assert aucs["lira-online"] > 0.85
    assert aucs["loss-threshold"] < 0.7
    assert aucs["stacked"] > aucs["lira-online"] - 0.02
    low = cells["lira-online"]["tpr_at_0_1pct_fpr"]
    assert low["ci95"][0] <= low["value"] <= low["ci95"][1]
    assert cells["stacked"]["shadow_runs"] == RUNS - 1
    single = cells["stacked"]["per_record"]
    assert single["auc_median"] > 0.85
    assert single["by_chance"]["auc_median"] < 0.6
    assert single["calibrated_tpr_at_1pct_fpr"] > 2 * single["pooled_tpr_at_1pct_fpr"]
    assert len(single["worst"]) == 10


def test_nothing_is_found_where_nothing_is() -> None:
    for name, cell in judged(0.0).items():
        low, high = cell["auc"]["ci95"]
        assert low - 0.02 < 0.5 < high + 0.02, name


def test_worst_texts_are_chosen_on_other_runs() -> None:
    """The largest of many chance figures looks large: on other runs it does not."""
    signals, members = world(0.0, 3)
    found = by_record(signals[:, :TEXTS], members)
    assert found["auc_90th_percentile"] > 0.6
    assert abs(np.mean(found["worst"]) - 0.5) < 0.15


def test_the_stack_never_learns_from_the_target() -> None:
    """Another membership of one run changes what is said of that run in no way."""
    signals, members = world(1.0)
    query = [Query(signals[:, :TEXTS], signals[:, TEXTS:])]
    other = members.copy()
    other[0] = ~other[0]
    first, second = (all_scores(query, of)["stacked"][0] for of in (members, other))
    assert first.tolist() == second.tolist()
    with pytest.raises(ValueError, match="4 at least"):
        all_scores([Query(signals[:3, :TEXTS], signals[:3, TEXTS:])], members[:3])
