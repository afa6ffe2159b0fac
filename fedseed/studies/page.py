"""report.html of a study: its question, its figure and its tables, as one HTML page."""

from collections.abc import Mapping
from typing import Any

from fedseed.results.pages.drawing import drawing
from fedseed.results.pages.from_markdown import read_markdown
from fedseed.results.pages.origin import QUICK, options_table, origin_table, versions_table
from fedseed.results.pages.repeat import repeat_blocks
from fedseed.results.report.blocks import Block, Notice, Page, Paragraph, Section
from fedseed.results.report.page import render
from fedseed.studies.description import StudyDescription


def study_report(about: StudyDescription, record: Mapping[str, Any]) -> str:
    """report.html of a study, from its record alone: the study's own, or else the usual one.

    Args:
        about: the study.
        record: of a completed one, schema 2.

    Raises:
        LookupError: the record lacks what every one has.
    """
    return about.make_report(record) if about.report else _usual(about, record)


def _usual(about: StudyDescription, record: Mapping[str, Any]) -> str:
    read = read_markdown(about.make_table(record), "Results")
    begun = record["provenance"].get("started", "at an unknown time")
    config = record["config"]
    lead = [about.summary, f"Begun {begun}. No private text is in this page."]
    quick: list[Block] = [Notice(QUICK)] if config.get("quick") else []
    asked = Section("question", "What was asked", [*quick, Paragraph(about.details)])
    figure = drawing(
        record, about.draw, "figure-study", "The figure of the study",
        "The numbers of the figure stand in the tables.",
    )  # fmt: skip
    script = f"fedseed study {about.command}"
    ways = Section("repeat", "How to repeat it", repeat_blocks(record, about.options_class, script))
    origin = Section("origin", "Where the figures come from", [
        Paragraph("Everything in this page is computed from one file, record.json."),
        origin_table(record), versions_table(record), options_table(record),
    ])  # fmt: skip
    sections = [
        asked, Section("figure", "In one picture", [figure]), *read.sections, ways, origin,
    ]  # fmt: skip
    footer = f"Made by fedseed from the record of a run begun {begun}."
    return render(Page(read.title, lead, sections, footer))
