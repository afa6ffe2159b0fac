"""Figures of the default run's page are those of its records."""

import pytest

from fedseed.results.table import percent
from tests.docs.pages import OFFICIAL, flat, official, printed, result_page, shown, table_lines

PAGE = result_page("a-default-run")


def test_the_table_is_that_of_the_record() -> None:
    assert printed(OFFICIAL / "federated-seed0" / "record.json") in PAGE


@pytest.mark.parametrize("run_seed", [0, 1, 2])
def test_the_row_of_each_run_seed(run_seed: int) -> None:
    results = official(f"federated-seed{run_seed}")["results"]
    newcomers = [results[name]["newcomers"] for name in ("given", "aggregated")]
    cells = [str(run_seed), *map(shown, [results["aggregated_seed"], *newcomers])]
    assert "| " + " | ".join(cells) + " |" in table_lines(PAGE)


@pytest.mark.parametrize("run_seed", [0, 1, 2])
def test_the_row_of_each_run_seed_from_a_random_seed(run_seed: int) -> None:
    results = official(f"federated-random-seed{run_seed}")["results"]
    cells = [
        str(run_seed),
        *(shown(results[name]["newcomers"]) for name in ("given", "aggregated")),
    ]
    cells.append(percent(results["retention"]["chance_corrected"]["aggregated"]))
    assert "| " + " | ".join(cells) + " |" in table_lines(PAGE)


def test_words_and_gains() -> None:
    records = [official(f"federated-seed{n}") for n in (0, 1, 2)]
    text = flat(PAGE)
    results, most = records[0]["results"], records[0]["ledger"]["payload_bytes"]
    seed, linear = results["aggregated_seed"], results["linear_of_equal_bytes"]
    assert f"that say most: {most['per_client_round_max']['up']} bytes, once" in text
    assert f"a seed of {seed['bytes']:,} bytes" in text
    assert f"right on {percent(seed['value'])} of the test reviews **before any step" in text
    assert f"right on {percent(linear['value'])} in {linear['bytes']:,} bytes" in text
    for name, words in (("aggregated", "for newcomers"), ("given", "with the given recipe")):
        gains = [
            100 * (one["results"][name]["newcomers"]["value"]
                   - one["results"]["aggregated_seed"]["value"])
            for one in records
        ]  # fmt: skip
        first, second, third = (f"{gain:+.1f}" for gain in gains)
        assert f"{first}, {second} and {third}" in text
        assert words in text


def test_no_other_row_stands_in_its_tables() -> None:
    """Two tables of three rows each, and their heads: the tests above check every row."""
    assert len(table_lines(PAGE)) == 2 * (1 + 3)
