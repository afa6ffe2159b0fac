"""Figures of the pages on words are those of their records."""

from typing import Any

from fedseed.evaluation.frontier import client_bytes
from fedseed.results.markdown import with_interval
from fedseed.studies.comparison.table import comparison_table, main_grid
from tests.docs.pages import README, official, official_table, result_page


def test_words_in_one_round() -> None:
    page = result_page("words-in-one-round")
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    for tokens in (256, 512):
        folder = f"comparison-words-{tokens}"
        record = official(folder)
        assert official_table(folder) == comparison_table(record)
        cells = record["results"]["cells"]
        found |= {(c["row"], c["partition"], tokens): c for c in cells}
        assert all(c["accuracy"]["value"] < c["linear_of_equal_bytes"]["value"] for c in cells)
    iid = [cell for (_, part, n), cell in found.items() if (part, n) == ("iid", 512)]
    assert main_grid(iid) in page
    for (row, partition, tokens), cell in found.items():
        if tokens == 256 and partition == "iid":
            assert with_interval(cell["accuracy"]) in page
        if (row, tokens) == ("lexicon-counts", 512):  # whoever has which texts
            same = found[row, "iid", 512]["accuracy"]["value"]
            assert abs(cell["accuracy"]["value"] - same) < 0.005
    for row, most, least in (
        ("lexicon-50", 100, 0.8), ("lexicon-180", 250, 0.825), ("lexicon", 900, 0.845),
    ):  # fmt: skip
        cell = found[row, "iid", 512]
        assert client_bytes(cell)[1] <= most
        assert cell["accuracy"]["value"] >= least
    worst = found["lexicon", "dirichlet-0.1", 512]["accuracy"]
    assert with_interval(worst) in page
    ends = sorted(worst["repeats"])
    assert ends[1] < 0.53 < 0.8 < ends[2]
    best = found["lexicon", "iid", 512]["accuracy"]["value"]
    assert best - found["lexicon", "dirichlet-0.5", 512]["accuracy"]["value"] < 0.02
    assert best - found["lexicon-counts", "dirichlet-0.1", 512]["accuracy"]["value"] < 0.05


def test_private_words() -> None:
    """The page's table and sentences are those of the record."""
    folder = "comparison-private-words"
    record = official(folder)
    assert official_table(folder) == comparison_table(record)
    page = result_page("private-words")
    cells = {(c["row"], c["partition"]): c for c in record["results"]["cells"]}
    assert main_grid([c for c in cells.values() if c["partition"] == "iid"]) in page
    for (row, partition), cell in cells.items():
        if partition == "iid" or "private" in row or row == "lexicon":
            assert with_interval(cell["accuracy"]) in page, row
    private = cells["lexicon-counts-private-4", "iid"]["accuracy"]
    assert with_interval(private) in README
    assert private["value"] >= 0.835
    assert cells["lexicon-counts-private-1", "iid"]["accuracy"]["value"] >= 0.81
    assert cells["lexicon-counts-local-4", "iid"]["accuracy"]["value"] >= 0.80
