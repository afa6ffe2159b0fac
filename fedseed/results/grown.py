"""What a grown model is worth, in words for somebody who knows no machine learning."""

from collections.abc import Mapping
from typing import Any

from fedseed.results.model_card import plain_card
from fedseed.results.table import percent


def verdict(record: Mapping[str, Any]) -> list[str]:
    """Plain lines about a model that was grown, from its record alone: the answer first."""
    results, classes = record["results"], record["provenance"]["package"]["classes"]
    chosen = results[results["chosen"]]
    low, high = chosen["ci95"]
    usual = classes[max(range(len(classes)), key=lambda n: chosen["class_counts"][n])]
    n, right, majority = chosen["n"], chosen["value"], chosen["majority_baseline"]
    whole = min(n, 100)
    lines = [
        f"{whole * right:.0f} of {whole} of your texts come out right; always answering "
        f"'{usual}' would give {whole * majority:.0f}.",
        f"Tested on {n:,} of your texts that were set aside: with others it may be "
        f"{_of_hundred(low)} to {_of_hundred(high)}{'' if n >= 100 else ' of 100'}.",
        _about_training(results),
    ]
    if low <= chosen["majority_baseline"]:
        lines.append("That is not shown to be better than always giving the same answer.")
    if alone := results.get("alone"):
        lines.append(
            "For comparison: a list of words made of your own labelled texts alone, without the "
            f"package, gets {_of_hundred(alone['value'])} right."
        )
    return lines


def _about_training(results: Mapping[str, Any]) -> str:
    before, after = results["assembled"], results.get("trained")
    as_it_came = f"As it came it gets {_of_hundred(before['value'])} right"
    if after is None:
        return f"{as_it_came}; your texts are too few to train on, so it stayed as it came."
    learnt = f"after training on your texts {_of_hundred(after['value'])}"
    kept = "the trained one" if results["chosen"] == "trained" else "the one as it came"
    return (
        f"{as_it_came}, {learnt}; kept is {kept}, by {results['validation_examples']:,} further "
        "texts that decided it."
    )


def _of_hundred(share: float) -> str:
    return f"{100 * share:.0f}"


def grown_card(record: Mapping[str, Any]) -> str:
    """The card of a grown model."""
    about, results = record["provenance"]["package"], record["results"]
    accuracy = results[results["chosen"]]
    low, high = accuracy["ci95"]
    figures = (
        f"Accuracy on {accuracy['n']:,} texts set aside: {percent(accuracy['value'])} "
        f"({100 * low:.1f} - {100 * high:.1f}), majority baseline "
        f"{percent(accuracy['majority_baseline'])}."
    )
    lines = [*verdict(record), "", figures, "", f"Grown from the package `{about['name']}`."]
    return plain_card(f"Grown from {about['name']}", "\n".join(lines))
