"""README.md's tables are what its commands print from the official records."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from fedseed.results.record import read_record
from fedseed.results.table import percent, summary
from fedseed.studies import find_studies

ROOT = Path(__file__).parents[1]
AT_128 = (Path(__file__).parents[1] / "docs" / "results" / "at-128-tokens.md").read_text(
    encoding="utf-8"
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
OFFICIAL = ROOT / "results" / "official"


def printed(path: Path) -> str:
    """What ``python -m fedseed show`` prints, 80 columns wide, without trailing blanks."""
    screen = io.StringIO()
    console = Console(file=screen, width=80)
    console.print(summary(read_record(path)), highlight=False, soft_wrap=True)
    return "\n".join(line.rstrip() for line in screen.getvalue().splitlines()).strip("\n")


def test_the_table_is_that_of_the_record() -> None:
    assert printed(OFFICIAL / "federated-seed0" / "record.json") in README


def shown(accuracy: dict[str, Any]) -> str:
    low, high = accuracy["ci95"]
    return f"{percent(accuracy['value'])} ({100 * low:.1f} - {100 * high:.1f})"


@pytest.mark.parametrize("run_seed", [0, 1, 2])
def test_the_row_of_each_run_seed(run_seed: int) -> None:
    results = read_record(OFFICIAL / f"federated-seed{run_seed}" / "record.json")["results"]
    newcomers = [results[name]["newcomers"] for name in ("given", "aggregated")]
    cells = [str(run_seed), *map(shown, [results["aggregated_seed"], *newcomers])]
    assert "| " + " | ".join(cells) + " |" in README


@pytest.mark.parametrize("run_seed", [0, 1, 2])
def test_the_row_of_each_run_seed_from_a_random_seed(run_seed: int) -> None:
    results = read_record(OFFICIAL / f"federated-random-seed{run_seed}" / "record.json")["results"]
    cells = [
        str(run_seed),
        *(shown(results[name]["newcomers"]) for name in ("given", "aggregated")),
    ]
    cells.append(percent(results["retention"]["chance_corrected"]["aggregated"]))
    assert "| " + " | ".join(cells) + " |" in README


def test_words_and_gains_in_readme() -> None:
    records = [read_record(OFFICIAL / f"federated-seed{n}" / "record.json") for n in (0, 1, 2)]
    text = " ".join(README.split())
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


def speed_rows() -> list[str]:
    """README's table of speed, from the official benchmark."""
    results = read_record(OFFICIAL / "benchmark" / "record.json")["results"]

    def cell(spread: dict[str, float], digits: int, unit: str = "") -> str:
        low, high = (f"{spread[end]:.{digits}f}" for end in ("min", "max"))
        return f"{spread['median']:.{digits}f}{unit} ({low} - {high}), n = {spread['n']}"

    seconds, tests = results["end_to_end_seconds"], results["accuracy"]
    rows = ["| system | seconds to the end of round 3 | test accuracy after it |", "|---|---|---|"]
    for name, words in (
        ("fedseed", "fedseed, 2 workers (bf16, which `auto` chose)"),
        ("fedseed_fp32", "fedseed, `--precision fp32`"),
        ("plain_hf", "plain loop, Hugging Face's module, 1 process x 2 threads"),
        ("flower_ray_hf", "Flower + ray, Hugging Face's module, 2 actors"),
    ):
        low, high = tests[name]["ci95"]
        accuracy = (
            f"{percent(tests[name]['value'])} ({100 * low:.1f} - {100 * high:.1f}), "
            f"n = {tests[name]['n']:,}, majority {percent(tests[name]['majority_baseline'])}"
        )
        rows.append(f"| {words} | {cell(seconds[name], 1)} | {accuracy} |")
    ratio, share = results["end_to_end_ratio"], results["share_of_matrix_rate"]
    memory, target = results["peak_memory_bytes"], results["time_to_83_percent"]
    single = seconds["flower_ray_hf"]["median"] / seconds["fedseed_fp32"]["median"]
    rates = results["steps_per_second"]
    steps = rates["fedseed_fp32"]["median"] / rates["plain_hf"]["median"]
    ours, theirs = (target[name]["median"] for name in ("fedseed", "flower_ray_hf"))
    assert target["flower_ray_hf_reached"] == 4

    def reached(tests: list[float]) -> int | None:
        return next((number for number, value in enumerate(tests, 1) if value >= 0.83), None)

    assert [reached(tests) for tests in target["fedseed_tests"]] == [2, 2, 2]
    assert [reached(tests) for tests in target["fedseed_at_128_tests"]] == [None, None, None]
    rows += ["", "| what | median (smallest - largest) |", "|---|---|"]
    rows += [
        f"| W against Flower + ray | {cell(ratio['flower_ray_hf'], 2, ' times faster')}; "
        f"in fp32 {single:.1f} times (of medians) |",
        f"| W against the plain loop | {cell(ratio['plain_hf'], 2, ' times faster')} |",
        "| training steps a second against the plain loop | "
        f"{cell(results['steps_per_second_ratio']['plain_hf'], 2, ' times as many')}; "
        f"in fp32 {steps:.1f} times (of medians) |",
        "| time to 83 % test accuracy (n = 4,980), against Flower + ray with the usual start and "
        "recipe, run once | "
        f"{cell(results['time_to_83_percent_ratio'], 2, ' times sooner')}: {ours:.0f} against "
        f"{theirs:.0f} s, after two rounds against four; its recipe reads 192 tokens of a text, "
        "the usual one 128 |",
        f"| share of the matrix-product rate, fp32 | {cell(share['fp32'], 2)} |",
        f"| share of the matrix-product rate, bf16 | {cell(share['bf16'], 2)} |",
        f"| seconds to the first training step | {cell(results['seconds_to_first_step'], 1)} |",
        "| peak memory at 10, 1,000 and 10,000 clients, 10 a round | "
        + ", ".join(f"{size / 1e9:.2f} GB" for size in memory.values())
        + " |",
    ]
    return rows


def test_the_table_of_speed() -> None:
    assert "\n".join(speed_rows()) in README


def said(spread: dict[str, float], digits: int = 2) -> tuple[str, str]:
    """The median of a measurement, and the beginning of its range, as README writes them."""
    middle, low, high = (f"{spread[name]:.{digits}f}" for name in ("median", "min", "max"))
    return middle, f"({low} - {high}"


@pytest.mark.parametrize(
    ("name", "begins", "ends"),
    [
        ("benchmark-zen5", "AVX-512 bf16** (an earlier", "benchmark-zen5/record"),
        ("benchmark-avx2", "AVX2 alone**", "**On a GPU**"),
    ],
)
def test_what_is_said_of_other_processors(name: str, begins: str, ends: str) -> None:
    results = read_record(OFFICIAL / name / "record.json")["results"]
    section = README.partition(begins)[2].partition(ends)[0]
    section = " ".join(section.split())
    seconds = said(results["end_to_end_seconds"]["fedseed"], 1)
    fast = said(results["end_to_end_ratio"]["flower_ray_hf"])
    steps = said(results["steps_per_second_ratio"]["plain_hf"])
    share = said(results["share_of_matrix_rate"]["fp32"])
    sooner = said(results["time_to_83_percent_ratio"])
    first = said(results["seconds_to_first_step"], 1)
    tests = []
    for name in ("fedseed", "flower_ray_hf"):
        value, (low, high) = (results["accuracy"][name][key] for key in ("value", "ci95"))
        tests.append(f"{percent(value)} ({100 * low:.1f} - {100 * high:.1f})")
    for words in (
        f"W took {seconds[0]} s {seconds[1]})",
        f"{fast[0]} times faster than Flower + ray {fast[1]}, n = 3)",
        f"{steps[0]} times the plain loop's steps {steps[1]})",
        f"a share of {share[0]} {share[1]}, n = 9)",
        f"accuracy {tests[0]} against {tests[1]}",
        f"83 % came {sooner[0]} times sooner {sooner[1]}, n = 3)",
        f"after {first[0]} s {first[1]}, n = 3)",
    ):
        assert words in section, words


def test_what_is_said_below_the_table_of_speed() -> None:
    results = read_record(OFFICIAL / "benchmark" / "record.json")["results"]
    section = " ".join(README.partition("## How fast")[2].partition("\n## ")[0].split())
    memory = results["peak_memory_bytes"].values()
    target, step = results["time_to_83_percent"], results["step"]

    def after_two(name: str) -> str:
        first, second, third = (f"{100 * tests[1]:.1f}" for tests in target[name])
        return f"{first}, {second} and {third} %"

    for words in (
        f"within {100 * (max(memory) / min(memory) - 1):.1f} % of the smallest",
        f"after two rounds are {after_two('fedseed_tests')}",
        f"it is at {after_two('fedseed_at_128_tests')} then",
        f"in its fourth ({100 * target['flower_ray_hf_tests'][3]:.1f} %)",
        f"the {step['fp32']['floating_point_operations'] / 1e9:.1f} GFLOP that a step does",
        f"of {1e3 * step['fp32']['seconds']['median']:.0f} ms",
        f"of {1e3 * step['bf16']['seconds']['median']:.0f} ms",
    ):
        assert words in section, words


def test_what_is_said_of_equivalence() -> None:
    results = read_record(OFFICIAL / "equivalence" / "record.json")["results"]
    section = " ".join(README.partition("The fast path learns")[2].partition("\n## ")[0].split())
    mean = {
        way: sum(accuracy["value"] for accuracy in of_way) / len(of_way)
        for way, of_way in results["accuracy"].items()
    }
    generic, bf16 = (results["paired"][way] for way in ("generic fp32", "lean bf16"))
    low, high = (-100 * end for end in reversed(generic["ci95"]))  # there minus lean, here lean's
    assert f"{100 * mean['lean fp32']:.2f} against {100 * mean['generic fp32']:.2f} %" in section
    assert f"paired difference {-100 * generic['mean_difference']:+.2f} points" in section
    assert f"interval {low:+.2f} to {high:+.2f}, n = 4,980" in section
    low, high = (100 * end for end in bf16["ci95"])
    assert f"fp32 {100 * bf16['mean_difference']:+.2f} ({low:+.2f} to {high:+.2f})" in section


def test_what_is_said_of_gpus() -> None:
    results = read_record(OFFICIAL / "benchmark-gpu" / "record.json")["results"]
    section = README.partition("**On a GPU**")[2].partition("benchmark-gpu/record.json")[0]
    section = " ".join(section.split())
    for precision in ("bf16", "fp32"):
        rate = results["clients_per_second"][precision]["64"]
        ratio = results["stacked_ratio"][precision]["64"]
        assert f"({rate['min']:.1f} - {rate['max']:.1f}" in section
        assert f"({ratio['min']:.2f} - {ratio['max']:.2f})" in section
        assert re.search(rf"at {rate['median']:.1f}( clients/s)? in {precision}", section)
        assert f"{ratio['median']:.2f} times" in section
    whole = results["simulation"]
    for device, words in (("cuda:0", "9.3 clients/s"), ("cpu", "6.7 in 16 worker processes")):
        assert words.startswith(f"{whole[device]['clients_per_second']:.1f} ")
        assert words in section
        low, high = whole[device]["accuracy"]["ci95"]
        value = percent(whole[device]["accuracy"]["value"])
        assert f"{value} ({100 * low:.1f} - {100 * high:.1f})" in section


def test_official_records_are_of_clean_commits() -> None:
    paths = sorted(OFFICIAL.glob("*/record.json"))
    assert len(paths) >= 4
    for path in paths:
        record = read_record(path)
        assert record["status"] == "completed"
        assert record["provenance"]["dirty"] is False
        assert record["provenance"]["commit"]


def test_what_readme_links_to_exists() -> None:
    import re

    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


@pytest.mark.parametrize("kind", sorted(find_studies()))
def test_a_study_table_is_that_of_its_record(kind: str) -> None:
    folder = OFFICIAL / kind
    record = read_record(folder / "record.json")
    assert record["config"]["quick"] is False
    assert (folder / "table.md").read_text(encoding="utf-8") == find_studies()[kind].make_table(
        record
    )
    assert (folder / "figure.png").stat().st_size > 10_000


def test_the_studies_in_readme_are_those_of_their_records() -> None:
    from fedseed.studies.ablation import table as ablation_table
    from fedseed.studies.budget import table as budget_table
    from fedseed.studies.zero_shot import table as zero_shot_table

    results = {
        kind: read_record(OFFICIAL / kind / "record.json")["results"]
        for kind in ("ablation", "zero_shot", "budget")
    }
    balanced = [
        cell
        for cell in results["zero_shot"]["cells"]
        if cell["part"] == "classifier" and cell["test_set"] == "balanced"
    ]
    for block in (
        ablation_table.artefact_grid(results["ablation"]["cells"]),
        ablation_table.good_grid(results["ablation"]["cells"]),
        zero_shot_table.classifier_grid(balanced),
        budget_table.smallest_grid(results["budget"]["smallest"]),
    ):
        assert block in README


def test_a_seed_that_knows_in_readme() -> None:
    record = read_record(OFFICIAL / "zero_shot" / "record.json")
    cells = {
        cell["row"]: cell
        for cell in record["results"]["cells"]
        if cell["part"] == "classifier" and cell["test_set"] == "balanced"
    }
    value = {row: cell["accuracy"]["value"] for row, cell in cells.items()}
    lexicon, large, original = (cells[r] for r in ("lexicon(1500)", "lexicon(4096)", "original"))
    low, high = lexicon["accuracy"]["ci95"]
    shown = f"{percent(value['lexicon(1500)'])} ({100 * low:.1f} - {100 * high:.1f})"
    start = " ".join(README[: README.index("## Two commands")].split())
    assert f"a seed of {lexicon['bytes']:,} bytes makes BERT-tiny right on {shown}" in start
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
    assert f"TF-IDF with logistic regression has {words} on\nwhole texts" in README


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "results").glob("*.md")), ids=str)
def test_tables_of_results_pages_are_the_records(page: Path) -> None:
    """Every line of a table stands in the table.md of a record that the page links to."""
    import re

    text = page.read_text(encoding="utf-8")
    tables = "".join(
        (OFFICIAL / name / "table.md").read_text(encoding="utf-8")
        for name in dict.fromkeys(re.findall(r"results/official/([\w-]+)", text))
    )
    lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    assert lines or page.name == "README.md"
    for line in lines:
        if not line.startswith("| [") and page.name != "README.md":
            assert line in tables, line
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (page.parent / target).exists(), target


def test_labels_of_reviews_in_readme() -> None:
    from fedseed.evaluation.frontier import break_even_speed, cheapest, points
    from fedseed.results.markdown import size
    from fedseed.studies.comparison.table import client_bytes, comparison_table

    folder = OFFICIAL / "comparison-labels-reviews"
    record = read_record(folder / "record.json")
    assert (folder / "table.md").read_text(encoding="utf-8") == comparison_table(record)
    cell = record["results"]["cells"][0]
    assert [c["row"] for c in record["results"]["cells"]] == ["labels-reviews"]
    low, high = cell["accuracy"]["ci95"]
    assert f"80.7 % ({100 * low:.1f} - {100 * high:.1f}, n = {cell['accuracy']['n']:,})" in AT_128
    assert [size(part) for part in client_bytes(cell)] == ["2.4 KB", "653 B"]
    others = read_record(OFFICIAL / "comparison-128" / "record.json")["results"]["cells"]
    iid = [c for c in others if c["partition"] == "iid" and c["condition"] is None]
    all_points = points([*iid, cell])
    light = cheapest(all_points, "labels-reviews", 0.80)
    for row, words in (("weights", "26.3 Mbit/s"), ("weights-int8", "3.1 Mbit/s")):
        heavy = cheapest(all_points, row, 0.80)
        assert light is not None
        assert heavy is not None
        speed = break_even_speed(light, heavy)
        assert speed is not None
        assert f"{speed / 1e6:.1f} Mbit/s" == words
        assert words in AT_128


def test_personalisation_in_readme_is_that_of_its_record() -> None:
    from fedseed.results.markdown import interval_in_points, points
    from fedseed.studies.comparison.table import comparison_table

    folder = OFFICIAL / "comparison-128"
    record = read_record(folder / "record.json")
    assert (folder / "table.md").read_text(encoding="utf-8") == comparison_table(record)
    text = " ".join(AT_128.split())
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


def test_the_comparison_in_readme_is_that_of_its_record() -> None:
    """The table, and every figure of the sentences below it."""
    from fedseed.evaluation.repeats import paired
    from fedseed.results.markdown import interval_in_points, points, size, with_interval
    from fedseed.studies.comparison.readings import verdicts
    from fedseed.studies.comparison.table import client_bytes, main_grid

    cells = read_record(OFFICIAL / "comparison-128" / "record.json")["results"]["cells"]
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
        assert words in " ".join(AT_128.split())
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


def test_what_readme_and_pages_say_of_privacy_is_in_its_record() -> None:
    from fedseed.studies.privacy.budget_table import defence_grid
    from fedseed.studies.privacy.table import crafted_line, main_grid

    results = read_record(OFFICIAL / "privacy" / "record.json")["results"]
    cells = results["cells"]
    pages = {
        "server": "server", "eavesdropper": "eavesdropper", "client": "another-client",
        "newcomer": "newcomer",
    }  # fmt: skip
    for observer, page in pages.items():
        here = [c for c in cells if c["observer"] == observer and c["setting"] is None]
        text = (ROOT / "docs" / "privacy" / f"{page}.md").read_text(encoding="utf-8")
        assert main_grid(here) in text
        if observer == "server":
            assert main_grid(here) in README
    malicious = ROOT / "docs" / "privacy" / "malicious-server.md"
    assert crafted_line(cells) in malicious.read_text(encoding="utf-8")
    assert defence_grid(cells) in README
    audits = {
        c["setting"]: c["epsilon_lower_bound"] for c in cells if c["attack"] == "one-run audit"
    }
    low, high = audits["no differential privacy"]["ci95"]
    value = audits.pop("no differential privacy")["value"]
    assert f"{value:.2f}\non average of three runs" in README or f"{value:.2f} on average" in README
    assert f"({low:.2f} - {high:.2f})" in README
    mixes = {c["row"]: c for c in cells
             if c["observer"] == "server" and c["attack"] == "label-distribution"}  # fmt: skip
    for row, cell in mixes.items():  # what is said to be read is read, and only that
        read = cell["label_error"]["ci95"][1] < cell["label_error_of_guessing"]["ci95"][0]
        assert read == (row != "recipe")
    once = {(c["observer"], c["row"]): c["exposure_bits"]["value"] for c in cells
            if c["attack"] == "canary trained on 1 time(s)"}  # fmt: skip
    bits = {observer: [f"{once[observer, row]:.1f}" for row in ("weights", "adapters", "mask")]
            for observer in ("server", "newcomer")}  # fmt: skip
    server, final = bits["server"], bits["newcomer"]
    assert server[1] == server[2]
    words = f"(the server: {server[0]} bits under weights, {server[1]} under adapters and masks; "
    assert f"{words}the final model: {', '.join(final)})" in " ".join(README.split())
    assert {bound["largest"] for bound in audits.values()} == {0.0}
    for cell in cells:
        if cell["setting"] == "texts never seen":
            assert abs(cell["auc"]["value"] - 0.5) <= 0.03


def test_what_to_send_in_readme() -> None:
    from fedseed.evaluation.repeats import paired
    from fedseed.results.markdown import interval_in_points, points, with_interval
    from fedseed.studies.comparison.table import main_grid

    record = read_record(OFFICIAL / "comparison" / "record.json")
    cells = {cell["row"]: cell for cell in record["results"]["cells"]}
    for page in (README, (ROOT / "docs" / "results" / "what-to-send.md").read_text("utf-8")):
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


def test_rates_in_their_page() -> None:
    record = read_record(OFFICIAL / "rates" / "record.json")
    page = (ROOT / "docs" / "results" / "training-from-a-seed-that-knows.md").read_text("utf-8")
    known = [c for c in record["results"]["cells"] if c["start"] == "lexicon"]
    best = max(known, key=lambda cell: cell["gain"]["difference"])
    page = " ".join(page.split())
    assert f"{100 * best['gain']['difference']:+.1f} points at a rate of" in page
    for part, words in (("over_newcomers", "on these test texts ({}, 12"), ("gain", "shown ({}).")):
        low, high = (100 * end for end in best[part]["ci95"])
        assert words.format(f"{low:+.1f} to {high:+.1f}") in page
    assert f"p = {best['over_newcomers']['p_holm']:.3f} after Holm" in page


def test_words_in_one_round_in_readme() -> None:
    from fedseed.results.markdown import with_interval
    from fedseed.studies.comparison.table import client_bytes, comparison_table, main_grid

    found = {}
    for tokens in (256, 512):
        folder = OFFICIAL / f"comparison-words-{tokens}"
        record = read_record(folder / "record.json")
        assert (folder / "table.md").read_text(encoding="utf-8") == comparison_table(record)
        cells = record["results"]["cells"]
        found |= {(c["row"], c["partition"], tokens): c for c in cells}
        assert all(c["accuracy"]["value"] < c["linear_of_equal_bytes"]["value"] for c in cells)
    iid = [cell for (_, part, n), cell in found.items() if (part, n) == ("iid", 512)]
    assert main_grid(iid) in README
    for (row, partition, tokens), cell in found.items():
        if tokens == 256 and partition == "iid":
            assert with_interval(cell["accuracy"]) in README
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
    assert with_interval(worst) in README
    ends = sorted(worst["repeats"])
    assert ends[1] < 0.53 < 0.8 < ends[2]
    best = found["lexicon", "iid", 512]["accuracy"]["value"]
    assert best - found["lexicon", "dirichlet-0.5", 512]["accuracy"]["value"] < 0.02
    assert best - found["lexicon-counts", "dirichlet-0.1", 512]["accuracy"]["value"] < 0.05


def test_the_committed_seed_is_the_records() -> None:
    from fedseed.seeds.codec import encode, read_seed

    folder = OFFICIAL / "zero_shot"
    seed = read_seed(folder / "lexicon-imdb.fseed")
    cells = read_record(folder / "record.json")["results"]["cells"]
    (cell,) = (c for c in cells if (c["row"], c.get("test_set")) == ("lexicon(1500)", "balanced"))
    assert (seed.kind, len(encode(seed))) == ("lexicon", cell["bytes"])
    assert "lexicon-imdb.fseed" in README


def test_published_bodies() -> None:
    """The page's tables and the sentences about them are those of the record."""
    from fedseed.results.markdown import size, with_interval
    from fedseed.studies.comparison.readings import link_grid
    from fedseed.studies.comparison.table import client_bytes, comparison_table, main_grid

    folder = OFFICIAL / "comparison-models"
    record = read_record(folder / "record.json")
    assert (folder / "table.md").read_text(encoding="utf-8") == comparison_table(record)
    page = (ROOT / "docs" / "results" / "published-bodies.md").read_text(encoding="utf-8")
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
    from fedseed.results.markdown import with_interval
    from fedseed.studies.comparison.table import comparison_table, main_grid

    folder = OFFICIAL / "comparison-models-rounds"
    record = read_record(folder / "record.json")
    assert (folder / "table.md").read_text(encoding="utf-8") == comparison_table(record)
    page = (ROOT / "docs" / "results" / "published-bodies.md").read_text(encoding="utf-8")
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
    body = read_record(OFFICIAL / "benchmark" / "record.json")["results"]["body"]["minilm"]
    page = (ROOT / "docs" / "decisions" / "lean-training.md").read_text(encoding="utf-8")
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


def test_private_words() -> None:
    """The page's table and sentences are those of the record."""
    from fedseed.results.markdown import with_interval
    from fedseed.studies.comparison.table import comparison_table, main_grid

    folder = OFFICIAL / "comparison-private-words"
    record = read_record(folder / "record.json")
    assert (folder / "table.md").read_text(encoding="utf-8") == comparison_table(record)
    page = (ROOT / "docs" / "results" / "private-words.md").read_text(encoding="utf-8")
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
