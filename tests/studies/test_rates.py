"""The rates study: newcomers from a seed that knows, compared text by text."""

from pathlib import Path
from typing import Any

import pytest

from fedseed.errors import ConfigError, InputError
from fedseed.results.folder import RECORD
from fedseed.studies.rates.study import Rates
from tests.studies.conftest import Run, lasting

SMALL: dict[str, Any] = {"rates": "1e-6,3e-3,0.5", "steps": 8, "samples": 60, "seed_bytes": 300}


def test_rates(run: Run, tmp_path: Path) -> None:
    record = run(Rates, **SMALL)
    cells = {(cell["start"], cell["learning_rate"]): cell for cell in record["results"]["cells"]}
    assert len(cells) == 2 * 3
    known, random = cells["lexicon", 1e-6], cells["random-scaled", 1e-6]
    assert known["before"]["value"] > 0.8 > random["before"]["value"]
    assert known["bytes"] <= 300
    assert known["gain"]["difference"] == pytest.approx(0.0, abs=0.051)
    for cell in cells.values():
        gain = cell["after"]["value"] - cell["before"]["value"]
        assert cell["gain"]["difference"] == pytest.approx(gain)
        low, high = cell["gain"]["ci95"]
        assert low <= gain <= high
        assert len(cell["gain"]["repeats"]) == len(cell["gain"]["p_values"]) == 2
        alone = cell["over_newcomers"]
        assert alone["difference"] == pytest.approx(gain)
        assert alone["p_value"] is None or alone["p_holm"] >= alone["p_value"]
    assert cells["random-scaled", 3e-3]["gain"]["difference"] > 0.1
    assert record["provenance"]["recipes"]["0.5"]["learning_rate"] == 0.5
    table = (tmp_path / "run" / "table.md").read_text()
    assert "**a lexicon of the other texts**" in table
    assert "Rates that spoil it" in table
    assert (tmp_path / "run" / RECORD).is_file()
    assert lasting(record) == lasting(run(Rates, "again", workers=2, **SMALL))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rates": "fast"}, "rates above 0"),
        ({"rates": "0.1,-1"}, "rates above 0"),
        ({"rates": "nan"}, "rates above 0"),
        ({"model": "minilm"}, "bert-tiny"),
        ({"multiplier": 0}, "multiplier"),
        ({"samples": 100_000}, "some must be left for the seed"),
    ],
)
def test_impossible_options(run: Run, changes: dict[str, Any], words: str) -> None:
    with pytest.raises((ConfigError, InputError), match=words):
        run(Rates, **(SMALL | changes))
