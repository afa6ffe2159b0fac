"""Figures of the pages on seeds are those of the studies' records."""

from fedseed.results.table import percent
from fedseed.seeds.codec import encode, read_seed
from fedseed.studies.ablation import table as ablation_table
from fedseed.studies.budget import table as budget_table
from fedseed.studies.zero_shot import table as zero_shot_table
from tests.docs.pages import OFFICIAL, README, flat, official, result_page, shown


def test_the_studies_in_their_pages_are_those_of_their_records() -> None:
    results = {kind: official(kind)["results"] for kind in ("ablation", "zero_shot", "budget")}
    balanced = [
        cell
        for cell in results["zero_shot"]["cells"]
        if cell["part"] == "classifier" and cell["test_set"] == "balanced"
    ]
    claims, smallest = result_page("seed-claims"), results["budget"]["smallest"]
    for page, block in (
        (claims, ablation_table.artefact_grid(results["ablation"]["cells"])),
        (claims, ablation_table.good_grid(results["ablation"]["cells"])),
        (result_page("what-a-seed-must-hold"), zero_shot_table.classifier_grid(balanced)),
        (
            result_page("how-few-examples"),
            budget_table.smallest_grid(smallest),
        ),
    ):
        assert block in page


def test_a_seed_that_knows_in_readme() -> None:
    record = official("zero_shot")
    cells = {
        cell["row"]: cell
        for cell in record["results"]["cells"]
        if cell["part"] == "classifier" and cell["test_set"] == "balanced"
    }
    value = {row: cell["accuracy"]["value"] for row, cell in cells.items()}
    lexicon, large, original = (cells[r] for r in ("lexicon(1500)", "lexicon(4096)", "original"))
    start = flat(README[: README.index("## Two commands")])
    made = f"a seed of {lexicon['bytes']:,} bytes makes a small transformer (BERT-tiny) right on "
    assert made + shown(lexicon["accuracy"]) in start
    assert f"one of {large['bytes']:,} bytes on {percent(value['lexicon(4096)'])}" in start
    assert f"trained on all reviews it has {percent(original['accuracy']['value'])}" in start
    assert value["original"] - value["lexicon(4096)"] < 0.005
    assert value["pca(32)"] - value["lexicon(600)"] < 0.01
    asked = {
        "lexicon(200)": 0.82,
        "lexicon(600)": 0.845,
        "lexicon(1500)": 0.86,
        "lexicon(4096)": 0.87,
    }
    for row, least in asked.items():
        assert value[row] >= least
        assert abs(value[row] - cells[row]["linear_accuracy"]["value"]) <= 0.003
    words = percent(record["results"]["baselines"]["tfidf_full"]["value"])
    page = flat(result_page("what-a-seed-must-hold"))
    assert f"TF-IDF with logistic regression on whole texts has {words}" in page
    assert f"TF-IDF with logistic regression on all whole reviews has {words}" in flat(README)
    components, few = (cells[row]["bytes"] for row in ("pca(32)", "lexicon(600)"))
    assert f"components need {components:,} bytes for what {few} bytes of words know" in page
    assert f"and {large['bytes']:,} bytes of words come within half a point" in page


def test_the_committed_seed_is_the_records() -> None:
    seed = read_seed(OFFICIAL / "zero_shot" / "lexicon-imdb.fseed")
    cells = official("zero_shot")["results"]["cells"]
    (cell,) = (c for c in cells if (c["row"], c.get("test_set")) == ("lexicon(1500)", "balanced"))
    assert (seed.kind, len(encode(seed))) == ("lexicon", cell["bytes"])
    page = result_page("what-a-seed-must-hold")
    assert "(../../results/official/zero_shot/lexicon-imdb.fseed)" in page
    assert f"The seed of {cell['bytes']:,} bytes is [here]" in page


def test_rates_in_their_page() -> None:
    record = official("rates")
    page = flat(result_page("training-from-a-seed-that-knows"))
    known = [c for c in record["results"]["cells"] if c["start"] == "lexicon"]
    best = max(known, key=lambda cell: cell["gain"]["difference"])
    assert f"{100 * best['gain']['difference']:+.1f} points at a rate of" in page
    for part, words in (("over_newcomers", "on these test texts ({}, 12"), ("gain", "shown ({}).")):
        low, high = (100 * end for end in best[part]["ci95"])
        assert words.format(f"{low:+.1f} to {high:+.1f}") in page
    assert f"p = {best['over_newcomers']['p_holm']:.3f} after Holm" in page
