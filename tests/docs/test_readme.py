"""README.md: short, and every figure in it from an official record."""

import re

import pytest

from fedseed.evaluation.frontier import client_bytes
from fedseed.results.markdown import size
from fedseed.results.table import percent
from tests.docs.pages import OFFICIAL, README, ROOT, flat, official, printed, read_page, shown

LINES = README.splitlines()
TEXT = flat(README)


def test_it_can_be_read() -> None:
    assert len(LINES) <= 150
    wide = [line for line in LINES if len(line) > 160 and not line.startswith("|")]
    assert wide == []


def test_its_two_commands_are_targets_of_the_makefile() -> None:
    makefile = read_page("Makefile")
    assert "```\nmake demo\nmake test\n```" in README
    for target in re.findall(r"`make (\w+)`", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_its_output_is_what_the_record_shows() -> None:
    """Some lines of it, in their order."""
    block = README.split("federated-seed0/record.json`")[1].split("```")[1]
    lines = [line for line in block.strip("\n").splitlines() if line]
    assert 8 <= len(lines) <= 14
    remaining = iter(printed(OFFICIAL / "federated-seed0" / "record.json").splitlines())
    for line in lines:
        assert line in remaining, line  # the iterator goes on from the line before


def test_what_it_says_below_the_output() -> None:
    record = official("federated-seed0")
    up = record["ledger"]["payload_bytes"]["per_client_round_max"]["up"]
    assert f"Ten clients sent words once, {up} bytes each at most, then scores" in TEXT
    sent = record["ledger"]["rounds"][1]["payload_bytes"]["up"] / record["config"]["clients"]
    tokens = record["config"]["max_length"]
    assert f"scores of recipes, {sent:.0f} bytes a round; {tokens} tokens" in TEXT
    results = record["results"]
    gain = results["aggregated"]["newcomers"]["value"] - results["aggregated_seed"]["value"]
    assert 0.4 < 100 * gain < 0.6
    assert "here that adds half a point" in TEXT


def test_its_first_result_is_followed_by_its_caveat() -> None:
    """The seed that knows: test_seed_claims.py has its figures."""
    first = next(part for part in README.split("\n- ") if part.startswith("**"))
    assert "before any training**" in flat(first)
    cells = official("zero_shot")["results"]["cells"]
    (seed,) = [c for c in cells if c["row"] == "lexicon(1500)" and c["test_set"] == "balanced"
               and c["part"] == "classifier"]  # fmt: skip
    linear = percent(seed["linear_of_equal_bytes"]["value"])
    assert f"a linear model of {seed['bytes']:,} bytes has {linear}" in flat(first)
    assert "until it is trained it computes a bag of words and no more" in flat(first)


def test_its_other_results() -> None:
    words = {
        cell["row"]: cell
        for cell in official("comparison-words-512")["results"]["cells"]
        if cell["partition"] == "iid"
    }
    up = client_bytes(words["lexicon"])[1]
    sent = f"Of ten clients who each send {up:.0f} bytes of words once, the seed has "
    assert sent + shown(words["lexicon"]["accuracy"]) in TEXT
    assert (
        f"in the clear `lexicon` has {percent(words['lexicon']['accuracy']['value'])} there" in TEXT
    )
    faster = official("benchmark")["results"]["end_to_end_ratio"]["flower_ray_hf"]
    low, high = faster["min"], faster["max"]
    figures = f"{faster['median']:.2f} times faster ({low:.2f} - {high:.2f}, n = {faster['n']})"
    assert f"{figures} than with Flower and ray" in TEXT
    private = official("comparison-private-words")["results"]["cells"]
    cell = next(c for c in private if c["row"] == "lexicon-counts-private-4")
    assert f"**Privacy that is proven: {shown(cell['accuracy'])} at epsilon 4**" in TEXT
    assert f"for {size(client_bytes(cell)[1])} up ([private words]" in TEXT
    for accuracy in (words["lexicon"]["accuracy"], cell["accuracy"]):
        n, counts = accuracy["n"], accuracy["class_counts"]
        majority = percent(accuracy["majority_baseline"])
        balance = f"majority baseline {majority}, classes {counts[0]:,} to {counts[1]:,}"
        assert f"n = {n:,}, {balance}" in TEXT


def test_what_it_says_of_weights_of_a_published_model() -> None:
    """test_bodies.py has the rest of that sentence."""
    cells = {c["series"]: c for c in official("comparison-models")["results"]["cells"]}
    weights = cells["weights-int8 (minilm)"]
    up = max(r["client_payload_bytes"]["up"] for r in weights["rounds"])
    assert f"averaged weights at {size(up)} a round {shown(weights['accuracy'])}" in TEXT


def test_where_a_bag_of_words_is_better() -> None:
    cells = official("comparison")["results"]["cells"]
    light = [c for c in cells if c["rounds"] and sum(client_bytes(c)) < 1e6]
    assert {"recipe", "labels", "lexicon", "lexicon-counts"} <= {c["row"] for c in light}
    for cell in light:
        assert cell["accuracy"]["value"] < cell["linear_of_equal_bytes"]["value"], cell["row"]
    assert "every protocol that sends less than a megabyte ends below a linear model" in TEXT


def test_what_the_baselines_of_all_texts_reach() -> None:
    whole = official("zero_shot")["results"]["baselines"]["tfidf_full"]["value"]
    assert f"on all whole reviews has {percent(whole)}, more than anything above but" in TEXT
    cells = {c["series"]: c for c in official("comparison-models")["results"]["cells"]}
    above = [name for name, cell in cells.items() if cell["accuracy"]["value"] > whole]
    assert above == ["weights-int8 (minilm)"]


def test_the_three_commands_are_those_of_the_rows() -> None:
    """But for a run's rounds and steps, which are a study's in the table."""
    block = README.split("## Which protocol, and when")[1].split("```")[1]
    counts, coordinates, weights = block.strip().splitlines()
    cells = {c["series"]: c for c in official("comparison-models")["results"]["cells"]}
    used = cells["coordinates-4k (minilm)"]
    for option in ("rank", "steps"):
        assert f"--{option} {used['options'][option]} " in coordinates
    assert f"--max-length {used['max_length']}" in coordinates
    private = official("comparison-private-words")
    (cell,) = [c for c in private["results"]["cells"] if c["row"] == "lexicon-counts-private-4"
               and c["partition"] == "iid"]  # fmt: skip
    assert "--epsilon 4 " in counts
    assert cell["row"].endswith("-4")
    assert f"--max-length {private['config']['max_length']}" in counts
    assert "delta 1e-5" in TEXT
    assert "--protocol lexicon --then weights --codec int8" in weights


def test_its_files_of_commands_are_named_alike() -> None:
    """What one command writes, the next one reads."""
    assert "fedseed package second --out reviews.fseed" in README
    assert "fedseed grow reviews.fseed --data mine.csv --out mine" in README
    assert "fedseed predict mine/model new.csv" in README


@pytest.mark.parametrize("folder", ["docs/protocols", "docs/results"])
def test_every_page_is_within_two_clicks(folder: str) -> None:
    """README links to it, or to the index of its folder, which does."""
    index = read_page(f"{folder}/README.md")
    assert f"({folder}/README.md)" in README
    for page in sorted((ROOT / folder).glob("*.md")):
        assert page.name == "README.md" or f"({page.name})" in index, page
