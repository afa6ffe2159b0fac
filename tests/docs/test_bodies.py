"""Figures of the page on published bodies are those of their records."""

from fedseed.evaluation.frontier import client_bytes
from fedseed.results.markdown import size, with_interval
from fedseed.studies.comparison.readings import link_grid
from fedseed.studies.comparison.table import comparison_table, main_grid
from tests.docs.pages import README, official, official_table, read_page, result_page


def test_published_bodies() -> None:
    """The page's tables and the sentences about them are those of the record."""
    folder = "comparison-models"
    record = official(folder)
    assert official_table(folder) == comparison_table(record)
    page = result_page("published-bodies")
    cells = {cell["series"]: cell for cell in record["results"]["cells"]}
    assert main_grid(list(cells.values())) in page
    assert link_grid(list(cells.values()), 0.85) in page
    few, weights = cells["coordinates-4k (minilm)"], cells["weights-int8 (minilm)"]
    up = {n: max(r["client_payload_bytes"]["up"] for r in cells[n]["rounds"]) for n in cells}
    for text in (README, page):
        assert with_interval(few["accuracy"]) in text
        assert with_interval(weights["accuracy"]) in text
        assert f"{up[few['series']]:,.0f} bytes of every client a round" in text
        assert size(weights["body_bytes"]) in text
        assert f"{100 * few['linear_of_equal_bytes']['value']:.1f} %" in text
    for name in ("coordinates-4k", "coordinates-16k", "adapters-int3"):
        cell = cells[f"{name} (minilm)"]
        behind = 100 * (weights["accuracy"]["value"] - cell["accuracy"]["value"])
        fewer = up[weights["series"]] / up[cell["series"]]
        assert f"by {behind:.1f}" in page
        assert f"{fewer:,.0f} times fewer" in page
        by_round = ", ".join(f"{100 * r['accuracy']['value']:.1f}" for r in cell["rounds"])
        assert f"`{name}` {by_round} %" in page
    assert few["accuracy"]["value"] > few["linear_of_equal_bytes"]["value"]
    assert sum(client_bytes(few)) < 25_000


def test_a_fourth_round_of_published_bodies() -> None:
    folder = "comparison-models-rounds"
    record = official(folder)
    assert official_table(folder) == comparison_table(record)
    page = result_page("published-bodies")
    cells = {cell["row"]: cell for cell in record["results"]["cells"]}
    assert main_grid(list(cells.values())) in page
    weights = cells["weights-int8"]["accuracy"]
    assert with_interval(weights) in page
    assert weights["value"] >= 0.89
    assert weights["value"] > record["results"]["baselines"]["tfidf_full"]["value"]
    behind = 100 * (weights["value"] - cells["adapters"]["accuracy"]["value"])
    assert f"end {behind:.1f} points behind" in page
    for name, cell in cells.items():
        by_round = ", ".join(f"{100 * r['accuracy']['value']:.1f}" for r in cell["rounds"])
        assert f"`{name}` {by_round} %" in page


def test_the_step_of_a_body() -> None:
    body = official("benchmark")["results"]["body"]["minilm"]
    page = read_page("docs/decisions/lean-training.md")
    both = [body["lengths"][length] for length in ("128", "256")]
    rows = {
        "fedseed, bf16, seconds": ("step_seconds", "fedseed", 2),
        "times as fast as Hugging Face's module in fp32": ("steps_per_second_ratio", "plain_hf", 1),
        "as under bf16 autocast": ("steps_per_second_ratio", "plain_hf_bf16", 1),
        "as peft with its Trainer in fp32": ("steps_per_second_ratio", "peft", 1),
        "share of the matrix rate, bf16": ("share_of_matrix_rate", "bf16", 2),
        "share of the matrix rate, fp32": ("share_of_matrix_rate", "fp32", 2),
    }
    for begins, (kind, name, digits) in rows.items():
        values = [f"{one[kind][name]['median']:.{digits}f}" for one in both]
        assert f"{begins} | {values[0]} | {values[1]} |" in page
    assert both[0]["steps_per_second_ratio"]["plain_hf"]["median"] >= 5
    assert both[1]["steps_per_second_ratio"]["plain_hf"]["median"] >= 9
