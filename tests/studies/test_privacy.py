"""The privacy study: what observers see, keys of the record, determinism, bad input."""

from typing import Any

import numpy as np
import pytest

from fedseed.attacks import attacks
from fedseed.attacks.evidence import Evidence, pack, unpack
from fedseed.attacks.observer import OBSERVERS, view_of
from fedseed.errors import ConfigError
from fedseed.studies.privacy.attacked_rows import (
    adds_up,
    defended_unit,
    fewest_clients,
    main_rows,
)
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.plans import clients_of, plan_of, world_of
from fedseed.studies.privacy.study import Privacy
from fedseed.studies.privacy.watched_runs import observe, watch
from fedseed.studies.privacy.world import CANARY_REPEATS
from tests.studies.conftest import Run, lasting

TINY: dict[str, Any] = {
    "clients": 2, "shard": 20, "population": 20, "references": 7, "most_steps": 3,
    "audit_secrets": 20, "epsilons": "8", "original_steps": None, "quick": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def small_config(options: dict[str, Any]) -> PrivacyOptions:
    return PrivacyOptions.parse(options | TINY).with_quick()


def test_every_cell_is_judged_with_intervals_and_again_alike(run: Run) -> None:
    more = {"protocol": "weights,recipe", "defences": False}
    record = run(Privacy, **TINY, **more)
    cells = record["results"]["cells"]
    seen = {(c["observer"], c["row"], c["attack"].partition(",")[0]) for c in cells}
    for observer in ("server", "eavesdropper", "client", "newcomer"):
        for row in ("weights", "recipe"):
            assert (observer, row, "membership") in seen
    assert ("server", "weights", "tokens") in seen
    assert ("server", "recipe", "tokens") not in seen
    for cell in cells:
        for name in ("auc", "token_recall", "label_error", "exposure_bits"):
            if cell.get(name) and cell[name]["value"] is not None:
                if cell[name]["ci95"] is None:
                    assert cell["targets"] == 1
                    continue
                low, high = cell[name]["ci95"]
                assert low <= cell[name]["value"] <= high
    one = [c for c in cells if (c["setting"] or "").startswith("1 text(s)")]
    assert one
    assert all(c["token_recall"]["value"] >= 0.99 for c in one)
    assert all(c["token_precision"]["value"] >= 0.99 for c in one)
    crafted = next(c for c in cells if c["attack"] == "crafted seed")
    assert crafted["counts_exact"] == 1.0
    for attack in record["results"]["attacks"].values():
        assert any(set(attack["reports"]) <= set(cell) for cell in cells)
    again = run(Privacy, "again", workers=2, **TINY, **more)
    assert lasting(again["results"]) == lasting(record["results"])


def test_audit_and_defences_are_of_the_budget_that_was_asked_for(run: Run) -> None:
    record = run(Privacy, **TINY, protocol="weights,labels", workers=2)
    cells = [c for c in record["results"]["cells"] if "epsilon_claimed" in c]
    assert [(c["row"], c["setting"]) for c in cells] == [
        ("weights", "no differential privacy"), ("weights", "epsilon 8"), ("weights", "epsilon 8"),
        ("weights", "epsilon 8, noise halved by mistake"),
        ("labels", "no differential privacy"), ("labels", "epsilon 8"),
    ]  # fmt: skip
    again = [c for c in cells if c["attack"] == "repeated audit"]
    assert [("caught" in c, c["accuracy"]) for c in again] == [(False, None), (True, None)]
    for cell in (c for c in cells if c not in again):
        assert cell["accuracy"]["n"] == 20
        assert cell["payload_bytes"] > 0
        assert (cell["epsilon_claimed"] is None) == (cell["mechanism"] == "none")
        assert cell["epsilon_claimed"] is None or 0 < cell["epsilon_claimed"] <= 8
    audits = [c for c in cells if c["attack"] == "one-run audit"]
    assert [c["row"] for c in audits] == ["weights", "weights"]
    assert audits[1]["epsilon_lower_bound"]["largest"] <= audits[1]["epsilon_audited"]


def test_a_sum_that_nobody_sees_the_parts_of(run: Run) -> None:
    """Counts give members away, a sum of noised ones less; audits and costs stand beside."""
    counts = {"protocol": "lexicon-counts,lexicon-counts-private-4", "clients": 3}
    record = run(Privacy, **TINY | counts, workers=2)
    cells = record["results"]["cells"]

    def auc(observer: str, row: str, setting: str | None = None) -> float:
        return max(
            c["auc"]["value"] for c in cells
            if (c["observer"], c["row"], c["setting"]) == (observer, row, setting) and "auc" in c
        )  # fmt: skip

    assert auc("server", "lexicon-counts") > 0.6  # texts of six words, all of which are counted
    assert auc("server", "lexicon-counts", "summed unseen") > 0.6
    assert auc("server", "lexicon-counts-private-4") < 0.9
    of_sum = {c["attack"].partition(",")[0] for c in cells if c["row"].endswith("private-4")}
    assert of_sum.isdisjoint({"tokens", "label-distribution"})
    budgets = [c for c in cells if "epsilon_claimed" in c]
    assert {(c["unit"], c["secure_aggregation"]) for c in budgets} == {
        ("example", True), ("example", False)
    }  # fmt: skip
    audited = [c for c in budgets if c["attack"] == "repeated audit" and "caught" not in c]
    assert len(audited) == 2
    assert all(c["epsilon_lower_bound"]["largest"] <= c["epsilon_audited"] <= 8 for c in audited)
    assert [c["caught"] for c in budgets if "caught" in c] == [False, False]  # few answers


def test_observers_see_no_more_than_they_should(small_config: PrivacyOptions) -> None:
    plan, world = plan_of(small_config, "weights"), world_of(small_config, 2, 20)
    client_config = clients_of(plan, 0)
    federated = world.federated(client_config, None, 0, 0)
    watched = watch(plan, client_config, federated)
    views = {name: watched.view(name) for name in OBSERVERS}
    assert {e.partition_id for e in views["server"].exchanges} == {0, 1}
    assert {e.partition_id for e in views["eavesdropper"].exchanges} == {0}
    assert all(e.up for e in views["eavesdropper"].exchanges)
    assert views["eavesdropper"].result == b""
    assert not any(e.up for e in views["client"].exchanges)
    assert views["newcomer"].exchanges == ()
    assert views["newcomer"].payload_bytes() == len(watched.result)
    with pytest.raises(ValueError, match="nobody"):
        view_of(watched.transcript, "nobody", b"")
    seen = observe(watched, world, plan, federated)
    assert [len(seen["signals"][name]) for name in ("server", "newcomer")] == [2, 1]
    assert all(words["recall"] == 1.0 for words in seen["words"])


def test_a_world_holds_every_candidate_once_and_canaries_as_often_as_said(
    small_config: PrivacyOptions,
) -> None:
    plan, world = plan_of(small_config, "weights"), world_of(small_config, 2, 20)
    for repeat in range(2):
        owners = world.owners(repeat, 0)
        assert np.bincount(owners + 1).tolist() == [40, 20, 20]
        federated = world.federated(clients_of(plan, repeat), None, repeat, 0)
        for client in range(2):
            part = federated.parts[client]
            assert np.isin(part, np.concatenate([world.candidates, world.canaries])).all()
            places = range(client * len(CANARY_REPEATS), (client + 1) * len(CANARY_REPEATS))
            counts = [int((part == world.canaries[place]).sum()) for place in places]
            assert counts == list(CANARY_REPEATS)
    assert (world.owners(0, 0) != world.owners(1, 0)).any()
    everything = [world.candidates, world.population, world.newcomer]
    assert len(np.unique(np.concatenate(everything))) == sum(map(len, everything))
    assert not np.isin(world.dataset.test, np.concatenate(everything)).any()


def test_judging_uses_the_targets_own_partition_only_to_judge() -> None:
    """Members whose signal is raised are found; with another run's partition they are not."""
    rng = np.random.Generator(np.random.PCG64(3))
    owners = [rng.integers(-1, 1, size=400) for _ in range(6)]
    runs = [
        {"signals": {"newcomer": [pack(np.concatenate([
            rng.normal(size=400) + 3 * (holders == 0), rng.normal(size=50)
        ]))]}}
        for holders in owners
    ]  # fmt: skip
    judge = attacks()["membership"].cells
    cells = {c["attack"]: c for c in judge(Evidence("newcomer", runs, owners))}
    assert cells["membership, lira-online"]["auc"]["value"] > 0.95
    shifted = owners[1:] + owners[:1]
    wrong = {c["attack"]: c for c in judge(Evidence("newcomer", runs, shifted))}
    assert abs(wrong["membership, loss-threshold"]["auc"]["value"] - 0.5) < 0.05


def test_packed_numbers_come_back() -> None:
    numbers = np.array([-3.5, 0.0, 1e6])
    assert unpack(pack(numbers)).tolist() == numbers.tolist()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"attack": "tokens", "protocol": "recipe"}, "needs weights"),
        ({"attack": "crafted", "protocol": "weights"}, "needs a seed of the server's choice"),
        ({"attack": "audit", "scenario": "newcomer"}, "never sees"),
        ({"attack": "canaries", "scenario": "server", "protocol": "recipe"}, "never sees"),
        ({"scenario": "malicious-server", "protocol": "labels"}, "no attack fits"),
        ({"attack": "guessing"}, "unknown attack 'guessing'"),
        ({"scenario": "nobody"}, "unknown scenario 'nobody'"),
        ({"protocol": "post"}, "unknown protocol 'post'"),
        ({"shadow_rows": "post@minilm"}, "unknown row of --shadow-rows 'post'"),
        ({"audit_epsilons": "x"}, "'x' is no budget"),
        ({"epsilons": "1,0"}, "'0' is no budget"),
        ({"epsilons": "1,x"}, "'x' is no budget"),
        ({"epsilons": "nan"}, "'nan' is no budget"),
        ({"delta": 1.0}, "delta"),
        ({"clip": 0.0}, "clip"),
    ],
)
def test_what_cannot_be_done_is_refused_with_one_line(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        PrivacyOptions.parse(given)
    assert "\n" not in str(error.value)


def test_too_few_texts_are_refused(run: Run) -> None:
    with pytest.raises(ConfigError, match="need 1,020 training texts"):
        run(Privacy, **TINY | {"shard": 200})


def test_rows_come_from_the_protocols_descriptions() -> None:
    assert main_rows() == [
        "recipe", "scalars", "lexicon", "lexicon-counts", "lexicon-counts-local-4",
        "lexicon-counts-private-4", "labels", "mask", "adapters", "weights",
    ]  # fmt: skip
    adding = [row for row in main_rows() if adds_up(row)]
    assert adding == [
        "lexicon-counts", "lexicon-counts-local-4", "labels", "mask", "adapters", "weights"
    ]  # fmt: skip
    assert [row for row in main_rows() if fewest_clients(row) > 2] == ["lexicon-counts-private-4"]
    units = {row: defended_unit(row) for row in main_rows()}
    assert {row: unit for row, unit in units.items() if unit} == {
        "recipe": "client", "labels": "client", "weights": "example",
    }  # fmt: skip
