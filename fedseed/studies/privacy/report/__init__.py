"""The report of a privacy study for somebody who has to decide, as one HTML page."""

from collections.abc import Mapping
from typing import Any

from fedseed.results.pages.origin import commit_words
from fedseed.results.report.blocks import Page, Section
from fedseed.results.report.page import render
from fedseed.studies.privacy.report.attack_sections import attack_section, every_membership
from fedseed.studies.privacy.report.background import (
    bytes_section,
    glossary_section,
    not_tried_section,
    observer_section,
    origin_section,
    risk_section,
)
from fedseed.studies.privacy.report.guarantee import cost_section, guarantee_section
from fedseed.studies.privacy.report.in_short import in_short
from fedseed.studies.privacy.report.verdict_section import verdict_section
from fedseed.studies.privacy.report.view import View


def privacy_report(record: Mapping[str, Any]) -> str:
    """report.html, from the record alone: self-contained, the same for the same record.

    Args:
        record: of a completed privacy study, schema 2.

    Raises:
        LookupError: the record lacks what every one has.
    """
    view = View(record)
    title = f"What federated training gives away ({view.task})"
    return render(Page(title, _lead(view), _sections(view), _footer(view)))


def _sections(view: View) -> list[Section]:
    every = every_membership(view)
    return [
        in_short(view), verdict_section(view), observer_section(view), bytes_section(view),
        attack_section(view), guarantee_section(view), cost_section(view), not_tried_section(view),
        risk_section(view), glossary_section(), origin_section(view), *([every] if every else []),
    ]  # fmt: skip


def _lead(view: View) -> list[str]:
    config = view.config
    lines = [
        "A report for a data-protection officer: what federated training with these texts gives "
        "away, to whom, and what is proven. No private text is in it.",
        f"Measured on {view.task}. Other texts give away more or less: what holds for yours is "
        "known when it is measured with yours.",
        f"Attacked: model {config['model']}, {config['clients']:,} clients with "
        f"{config['shard']:,} texts each, {config['repeats']:,} runs of every protocol. Brackets "
        "hold the 95 % interval and the number of attacks (targets), runs or test texts (n). All "
        "words are explained in the glossary.",
        f"Run begun {_begun(view)}; commit {commit_words(view.provenance)}.",
    ]
    if config.get("quick"):
        lines.append("This was a quick run: its figures mean little.")
    return lines


def _begun(view: View) -> str:
    return str(view.provenance.get("started", "on an unknown date"))


def _footer(view: View) -> str:
    return f"Made by fedseed from the record of a run begun {_begun(view)}."
