"""Figures of the page on speed are those of the benchmarks' records."""

import re

import pytest

from fedseed.results.table import percent
from tests.docs.pages import flat, official, result_page, table_lines

PAGE = result_page("speed")


def speed_rows() -> list[str]:
    """PAGE's table of speed, from the official benchmark."""
    results = official("benchmark")["results"]

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
    rows = speed_rows()
    assert "\n".join(rows) in PAGE
    assert set(table_lines(PAGE)) == {row for row in rows if row and "---" not in row}


def test_what_is_said_first() -> None:
    results = official("benchmark")["results"]
    seconds = results["end_to_end_seconds"]
    faster = results["end_to_end_ratio"]["flower_ray_hf"]["median"]
    single = seconds["flower_ray_hf"]["median"] / seconds["fedseed_fp32"]["median"]
    assert f"{faster:.2f} times faster than Flower with ray" in PAGE
    assert f"{single:.1f} times faster in fp32" in PAGE
    ours, theirs = (results["accuracy"][name]["ci95"] for name in ("fedseed", "flower_ray_hf"))
    assert max(ours[0], theirs[0]) < min(ours[1], theirs[1])


def said(spread: dict[str, float], digits: int = 2) -> tuple[str, str]:
    """The median of a measurement, and the beginning of its range, as PAGE writes them."""
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
    results = official(name)["results"]
    section = flat(PAGE.partition(begins)[2].partition(ends)[0])
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
    results = official("benchmark")["results"]
    section = flat(PAGE)
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
    results = official("equivalence")["results"]
    section = " ".join(PAGE.partition("The fast path learns")[2].partition("\n## ")[0].split())
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
    results = official("benchmark-gpu")["results"]
    section = flat(PAGE.partition("**On a GPU**")[2].partition("benchmark-gpu/record.json")[0])
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
