"""README.md's table of protocols: bytes, accuracy and attacks are those of official records."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from fedseed.evaluation.frontier import client_bytes
from fedseed.protocols import protocol_names
from fedseed.results.markdown import size
from fedseed.results.table import percent
from fedseed.studies.privacy.table import strongest
from tests.docs.pages import README, flat, official, shown

ROWS = {
    (cells := [cell.strip() for cell in line.strip("|").split("|")])[0]: cells
    for line in README.split("| protocol |")[1].split("\n\n")[0].splitlines()[2:]
}
"""Cells of every row, by the first of them."""
NOTE = flat(README.split("| protocol |")[1].split("\n\n")[1])


def row(begins: str) -> list[str]:
    (cells,) = [cells for name, cells in ROWS.items() if name.startswith(begins)]
    return cells


def compared(study: str, name: str, by: str = "row") -> Mapping[str, Any]:
    cells = official(study)["results"]["cells"]
    here = (c for c in cells if c[by] == name and c["partition"] == "iid" and not c["condition"])
    return next(here)


def ups(cell: Mapping[str, Any]) -> list[float]:
    """Bytes of one client up, of each round."""
    return [one["client_payload_bytes"]["up"] for one in cell["rounds"]]


def auc(study: str, name: str) -> str:
    """What the server's best attack on membership reaches."""
    cells = official(study)["results"]["cells"]
    seen = [c for c in cells if c["observer"] == "server" and c["setting"] is None]
    (best,) = (c["auc"] for c in strongest(seen) if c["row"] == name)
    low, high = best["ci95"]
    return f"{best['value']:.2f} ({low:.2f} - {high:.2f})"


@pytest.mark.parametrize(
    ("begins", "study", "name", "attacks"),
    [
        ("[`lexicon`]", "comparison", "lexicon", ("privacy", "lexicon")),
        ("[`lexicon`, noised sum]", "comparison-private-words", "lexicon-counts-private-4",
         ("privacy", "lexicon-counts-private-4")),
        ("[`labels`]", "comparison", "labels", ("privacy", "labels")),
        ("[`coordinates`]", "comparison-models", "coordinates-4k (minilm)", None),
        ("[`adapters`]", "comparison-models", "adapters-int3 (minilm)", ("privacy", "adapters")),
        ("[`weights`](docs/protocols/weights.md) in int8, words first", "comparison",
         "lexicon-weights-int8", ("privacy", "weights")),
        ("[`weights`](docs/protocols/weights.md) in int8, MiniLM", "comparison-models",
         "weights-int8 (minilm)", None),
    ],
)  # fmt: skip
def test_a_row(begins: str, study: str, name: str, attacks: tuple[str, str] | None) -> None:
    cells = row(begins)
    cell = compared(study, name, "series" if study == "comparison-models" else "row")
    assert cells[2] == size(max(ups(cell)))
    assert cells[3] == shown(cell["accuracy"])
    assert cells[4] == percent(cell["linear_of_equal_bytes"]["value"])
    if attacks:
        assert auc(*attacks) in cells[5]
    else:
        assert "not attacked" in cells[5]


def test_the_row_of_recipes() -> None:
    cells, cell = row("[`recipe`]"), compared("comparison", "lexicon-recipe")
    first, *later = ups(cell)
    assert len(set(later)) == 1
    assert cells[2] == f"{size(first)}, then {size(later[0])}"
    assert cells[3] == f"{shown(cell['accuracy'])} ²"
    assert cells[4] == percent(cell["linear_of_equal_bytes"]["value"])
    assert f"of scores alone {auc('privacy', 'recipe')}" in cells[5]


@pytest.mark.parametrize("name", ["mask", "scalars"])
def test_a_row_at_128_tokens(name: str) -> None:
    """That record has no linear models: they are those of the zero-shot study at 128 tokens."""
    cells, cell = row(f"[`{name}`]"), compared("comparison-128", name)
    assert cells[2] == size(max(ups(cell)))
    assert cells[3] == shown(cell["accuracy"])
    spent = sum(client_bytes(cell))
    curve = [one for one in official("zero_shot-128")["results"]["linear"]
             if one["model"] == "lexicon" and one["bytes"] <= spent]  # fmt: skip
    assert cells[4] == percent(curve[-1]["value"])
    assert cells[5] == auc("privacy", name)


def test_masks_end_below_clients_alone() -> None:
    alone = compared("comparison-128", "local")["accuracy"]["value"]
    assert compared("comparison-128", "mask")["accuracy"]["value"] < alone
    assert "below each client alone" in row("[`mask`]")[6]


def test_every_protocol_has_a_row() -> None:
    assert all(any(f"docs/protocols/{name}.md" in one for one in ROWS) for name in protocol_names())


def test_the_note_below_it() -> None:
    cells = [compared("comparison", name) for name in ("lexicon", "labels", "lexicon-recipe")]
    record = official("comparison")
    assert record["config"]["repeats"] == 3
    shards = record["results"]["shards_of_first_repeat"]["iid"][: record["config"]["clients"]]
    assert f"Ten clients with {round(np.mean([sum(shard) for shard in shards])):,} reviews" in NOTE
    assert f"n = {cells[0]['accuracy']['n']:,}, majority baseline " in NOTE
    assert f"baseline {percent(cells[0]['accuracy']['majority_baseline'])};" in NOTE
    assert f"own models, n = {cells[2]['accuracy']['n']:,}" in NOTE
    local = compared("comparison", "local")["accuracy"]
    assert f"each client alone has {shown(local)} ²" in NOTE
    body = compared("comparison-models", "coordinates-4k (minilm)", "series")["body_bytes"]
    assert f"the model is {size(body)} once" in NOTE
    assert official("comparison-models")["config"]["repeats"] == 1
    attacked = official("privacy")
    shard, clients = attacked["config"]["shard"], attacked["config"]["clients"]
    rows = [c for c in attacked["results"]["cells"] if c["row"] in ("weights", "labels")]
    (tokens,) = {c["max_length"] for c in rows if c.get("max_length")}
    assert f"{clients} clients with {shard} reviews, {tokens} tokens" in NOTE
