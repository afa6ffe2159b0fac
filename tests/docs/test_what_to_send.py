"""Figures of the pages on what to send are those of the comparisons' records."""

from typing import Any

import numpy as np

from fedseed.evaluation.frontier import break_even_speed, cheapest, client_bytes
from fedseed.evaluation.frontier import points as points_of
from fedseed.evaluation.repeats import paired
from fedseed.results.markdown import interval_in_points, points, size, with_interval
from fedseed.studies.comparison.readings import verdicts
from fedseed.studies.comparison.table import comparison_table, main_grid
from tests.docs.pages import flat, official, official_table, result_page

AT_128 = result_page("at-128-tokens")


def test_what_to_send() -> None:
    record = official("comparison")
    cells = {cell["row"]: cell for cell in record["results"]["cells"]}
    page = result_page("what-to-send")
    assert main_grid(list(cells.values())) in page
    for row in ("lexicon", "recipe", "labels", "adapters", "local", "weights", "central"):
        assert with_interval(cells[row]["accuracy"]) in page
    words, random = (cells[r]["accuracy"] for r in ("lexicon-weights-int8", "weights-int8"))
    change = paired(words["repeats"], random["repeats"])
    shown = f"{points(change['difference'])} points, {interval_in_points(change['ci95'])}"
    assert f"paired over the repeats {shown}" in page
    assert change["ci95"][0] > 0
    assert with_interval(cells["lexicon-recipe"]["newcomers"]) in page
    assert words["value"] >= 0.865
    linear = [cell["linear_of_equal_bytes"]["value"] for cell in cells.values() if cell["rounds"]]
    low = [cell["accuracy"]["ci95"][0] for cell in cells.values() if cell["rounds"]]
    assert all(one < other for one, other in zip(low, linear, strict=True))


def test_labels_of_reviews() -> None:
    folder = "comparison-labels-reviews"
    record = official(folder)
    assert official_table(folder) == comparison_table(record)
    cell = record["results"]["cells"][0]
    assert [c["row"] for c in record["results"]["cells"]] == ["labels-reviews"]
    low, high = cell["accuracy"]["ci95"]
    assert f"80.7 % ({100 * low:.1f} - {100 * high:.1f}, n = {cell['accuracy']['n']:,})" in AT_128
    assert [size(part) for part in client_bytes(cell)] == ["2.4 KB", "653 B"]
    others = official("comparison-128")["results"]["cells"]
    iid = [c for c in others if c["partition"] == "iid" and c["condition"] is None]
    all_points = points_of([*iid, cell])
    light = cheapest(all_points, "labels-reviews", 0.80)
    for row, words in (("weights", "26.3 Mbit/s"), ("weights-int8", "3.1 Mbit/s")):
        heavy = cheapest(all_points, row, 0.80)
        assert light is not None
        assert heavy is not None
        speed = break_even_speed(light, heavy)
        assert speed is not None
        assert f"{speed / 1e6:.1f} Mbit/s" == words
        assert words in AT_128


def test_personalisation_is_that_of_its_record() -> None:
    folder = "comparison-128"
    record = official(folder)
    assert official_table(folder) == comparison_table(record)
    text = flat(AT_128)
    gains = {(c["row"], c["partition"]): c["personalization"]
             for c in record["results"]["cells"] if c["personalization"]}  # fmt: skip
    for personal in gains.values():
        assert {client["before"]["n"] for client in personal["clients"]} == {1000}

    def mean(personal: dict[str, Any], name: str, what: str = "value") -> str:
        return f"{100 * float(np.mean([client[name][what] for client in personal['clients']])):.1f}"

    for row, place in (("labels", "labels +"), ("weights", "weights +")):
        gain = gains[row, "iid"]["mean_gain"]
        words = f"{place[:-1]}{points(gain['value'])} "
        words += "points " if row == "labels" else ""
        assert f"{words}({interval_in_points(gain['ci95'])})" in text
        some = gains[row, "dirichlet-0.5"]
        assert f"from {mean(some, 'before')} to {mean(some, 'after')} %" in text
        assert f"({interval_in_points(some['mean_gain']['ci95'])}" in text
        assert f"largest class has {mean(some, 'after', 'majority_baseline')} %" in text
        much = gains[row, "dirichlet-0.1"]
        assert interval_in_points(much["mean_gain"]["ci95"]) in text
        assert mean(much, "after") in text.split("with 0.1 they reach")[1][:30]
        assert f"alone has {mean(much, 'after', 'majority_baseline')} %" in text


def test_the_comparison_at_128_tokens_is_that_of_its_record() -> None:
    """The table, and every figure of the sentences below it."""
    cells = official("comparison-128")["results"]["cells"]
    plain = {(c["row"], c["partition"]): c for c in cells if c["condition"] is None}
    iid = [cell for (_, partition), cell in plain.items() if partition == "iid"]
    assert main_grid(iid) in AT_128
    for row in ("labels", "weights", "local"):
        for partition in ("dirichlet-0.5", "dirichlet-0.1"):
            assert with_interval(plain[row, partition]["accuracy"]) in AT_128
    whole = {cell["row"]: sum(client_bytes(cell)) for cell in iid}
    assert 8.5 < whole["weights"] / whole["weights-int8"] < 9.5
    assert round(whole["weights-int8"] / whole["labels"], -2) == 1600
    assert round(whole["adapters"] / whole["labels"], -2) == 400
    assert size(whole["labels"]) == "5.0 KB"
    gaps = {row: paired(*(plain[name, "iid"]["accuracy"]["repeats"] for name in (row, "labels")))
            for row in ("adapters", "weights", "weights-int8")}  # fmt: skip
    assert gaps["adapters"]["ci95"][0] < 0 < gaps["adapters"]["ci95"][1]
    assert all(0.035 < gaps[row]["difference"] < 0.045 for row in ("weights", "weights-int8"))
    for row, words in (
        ("labels", "+0.7 points, interval -2.1 to +3.6"),
        ("recipe", "-0.9 points, -2.6 to +0.9"),
        ("adapters", "+1.5 points, -1.7 to +4.7"),
        ("mask", "-2.7 points, -3.2 to -2.2"),
    ):
        both = [plain[name, "iid"]["newcomers"] for name in (row, "local")]
        assert both[0]["n"] == both[1]["n"] == 4980
        change = paired(*(accuracy["repeats"] for accuracy in both))
        shown = f"{points(change['difference'])} points, "
        shown += "interval " if "interval" in words else ""
        assert shown + interval_in_points(change["ci95"]) == words
        assert words in flat(AT_128)
    words = verdicts(iid)
    assert "To 75 %, recipe is quicker than fp32 weights on links below 96.3 Mbit/s" in words
    assert "To 75 %, labels is quicker than fp32 weights on links below 50.8 Mbit/s" in words
    for cell in cells:
        if cell["condition"]:
            undisturbed = plain[cell["row"], "iid"]["accuracy"]["repeats"]
            change = paired(cell["accuracy"]["repeats"], undisturbed)
            assert change["ci95"][0] < 0 < change["ci95"][1]
            assert -0.0085 < change["difference"] < 0.0005
            low, high = (-0.034, 0.034) if cell["row"] == "labels" else (-0.0245, 0.007)
            assert low < change["ci95"][0]
            assert change["ci95"][1] < high
