"""A page of blocks as HTML: one file, no script, nothing loaded from anywhere."""

import functools
import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fedseed.results.report.blocks import Definitions, Figures, Page, Section, Table

if TYPE_CHECKING:
    from jinja2 import Environment


def render(page: Page) -> str:
    """A whole HTML document, the same for the same page.

    Raises:
        ValueError: two parts have the same anchor, or a table's row is not as long as its head.
    """
    counts = Counter(anchor for section in page.sections for anchor in _anchors(section))
    twice = sorted(anchor for anchor, count in counts.items() if count > 1)
    if twice:
        raise ValueError(f"anchors stand twice on the page: {', '.join(twice)}")
    return _environment().get_template("page.html.j2").render(page=page) + "\n"


def slug(words: str) -> str:
    """An anchor made of words: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-") or "x"


def term_anchor(term: str) -> str:
    """Where a term is defined."""
    return f"term-{slug(term)}"


def _anchors(section: Section) -> Iterator[str]:
    yield section.anchor
    for block in section.blocks:
        if isinstance(block, Table):
            if any(len(row) != len(block.head) for row in block.rows):
                raise ValueError(f"table {block.anchor} has rows that are not as long as its head")
            yield block.anchor
        elif isinstance(block, Figures):
            yield from (figure.anchor for figure in block.items)
        elif isinstance(block, Definitions):
            yield from (term_anchor(term) for term, _ in block.items)
    for part in section.sections:
        yield from _anchors(part)


@functools.cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("fedseed.results.report"), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["term_anchor"] = term_anchor
    return environment
