"""What travelled in a run, in words: what each side sent, who reads it, and what protects it."""

from collections.abc import Mapping
from typing import Any

from fedseed.privacy.rules import usual_threshold
from fedseed.results.report.blocks import Bullets, Paragraph, Section, Table
from fedseed.results.upgrade import describe_by_name

_ENDS_WITH = {
    "recipe": "a recipe, by which everybody trains a model on texts of its own",
    "seed": "a seed, from which everybody makes a model",
    "model": "one model, the same for all",
}  # fmt: skip
_REVEALS = {
    "model": "One client's contribution alone makes a model: whoever reads it can ask that model "
    "whether a text was trained on.",
    "word_rows": "A contribution says something of each word: whoever reads it learns which words "
    "the client's texts hold.",
    "update": "A contribution is the change of the weights itself, of which texts have been "
    "recomputed word for word.",
    "scores": "A contribution holds scores of a model made from the server's seed: a server that "
    "chooses the seed learns from them what the client's texts hold.",
}  # fmt: skip


def travelled_section(record: Mapping[str, Any]) -> Section:
    """What travelled, what it shows, and what protects it."""
    protocol, config = record["protocol"], record["config"]
    rows = [
        ["protocol", f"{protocol['name']}: {protocol['summary']}"],
        ["begins with", _start(record)],
        ["ends with", _ENDS_WITH[protocol["ends_with"]]],
        ["clients in a round", _cohort(config)],
    ]  # fmt: skip
    table = Table("table-travelled", "What travelled", ["what", "in this run"], rows)
    return Section("travelled", "What travelled, and what it gives away", [
        table, Paragraph("What a reader of one client's messages can learn:"),
        Bullets(_reveals(record)),
        Paragraph("What protects the clients:"), Bullets(protection_words(record)),
        Paragraph(
            "Few bytes are no protection. What attacks on each protocol found stands in "
            "docs/privacy/ of fedseed; nothing was attacked in this run."
        ),
    ])  # fmt: skip


def protection_words(record: Mapping[str, Any]) -> list[str]:
    """What protects the clients, a sentence each."""
    bound, *rest = _privacy(record)
    lines = [f"Secure aggregation: {_sums(record['config'])}.", f"Differential privacy: {bound}."]
    return [*lines, *(f"{line[0].upper()}{line[1:]}." for line in rest)]


def protection_label(record: Mapping[str, Any]) -> str:
    """The same in a few words."""
    spent = record["provenance"].get("privacy")
    words = []
    if spent is not None:
        epsilon = spent["epsilon"]
        bound = "no bound" if epsilon is None else f"epsilon {epsilon:.3g}"
        words.append(f"{bound} for one {spent['unit']}")
    if record["config"].get("secure_aggregation"):
        words.append("summed unseen")
    return ", ".join(words) or "none"


def _start(record: Mapping[str, Any]) -> str:
    seed, config = record["provenance"]["seed"], record["config"]
    words = f"a seed of kind {seed['seed_kind']} for {seed['model']}"
    if config.get("start") != "lexicon":
        return words
    rounds = config.get("start_rounds", 1)
    which = "round 1" if rounds == 1 else f"rounds 1 to {rounds}"
    return f"{words}; in {which} weighted words travel, of which the server makes a seed"


def _cohort(config: Mapping[str, Any]) -> str:
    if config.get("cohort") is None:
        return f"all {config['clients']:,}"
    return f"{config['cohort']:,} of {config['clients']:,}, drawn for each round"


def _sums(config: Mapping[str, Any]) -> str:
    if not config.get("secure_aggregation"):
        return "none; the server reads every client's contribution"
    fewest = config.get("threshold") or usual_threshold(config.get("cohort") or config["clients"])
    return (
        "the server learns the sum of a round's contributions and none of them (SecAgg+, from "
        f"{fewest:,} clients on)"
    )


def _privacy(record: Mapping[str, Any]) -> list[str]:
    """Differential privacy: what is bounded, then what is not."""
    spent = record["provenance"].get("privacy")
    if spent is None:
        return ["none; nothing bounds what can be learnt from what a client sends"]
    whose = {"example": "one text of a client", "client": "all texts of a client"}[spent["unit"]]
    how = [spent["mechanism"]]
    how += [f"{name} {spent[name]:g}" for name in ("noise", "clip") if spent[name] is not None]
    if spent["epsilon"] is None:
        return [f"none in effect: {', '.join(how)} bounds nothing"]
    asked, able = record["config"]["rounds"], spent["rounds_within_budget"]
    ended = f"; {able:,} of {asked:,} rounds were within the budget" if able < asked else ""
    return [
        f"epsilon {spent['epsilon']:.3g} at delta {spent['delta']:g} for {whose} in the whole run "
        f"({', '.join(how)}){ended}",
        "the bound is of what training sends: counts of test answers carry no noise",
    ]


def _reveals(record: Mapping[str, Any]) -> list[str]:
    """What contributions show; of a record that does not say so, what the protocol says now."""
    protocol, config = record["protocol"], record["config"]
    named = protocol.get("reveals")
    if named is None:
        named = describe_by_name(protocol["name"])["reveals"]
    if named is None:
        lines = ["Nothing is known here of what this protocol's contributions show."]
    else:
        lines = [_REVEALS[one] for one in named if one in _REVEALS]
    if config.get("start") == "lexicon" and "word_rows" not in (named or ()):
        lines.insert(0, "The weighted words that begin the run are those of the client's texts.")
    if not lines:
        lines = ["The protocol names nothing; that does not show that nothing can be learnt."]
    if config.get("secure_aggregation"):
        lines.append("The server has the sum alone, of which all that can be said, as of one large "
                     "client.")  # fmt: skip
    return lines
