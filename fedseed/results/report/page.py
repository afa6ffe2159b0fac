"""A page of blocks as HTML: one file, nothing loaded from anywhere.

The only script sorts tables; a page without a table that can be sorted has none. It is allowed by
its digest, so that nothing else that stood in the page would run.
"""

import base64
import functools
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fedseed.results.report.blocks import (
    Block,
    Definitions,
    Drawing,
    Figures,
    Page,
    Section,
    Table,
)

if TYPE_CHECKING:
    from jinja2 import Environment


_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def render(page: Page) -> str:
    """A whole HTML document, the same for the same page.

    Raises:
        ValueError: two parts have the same anchor, or a table's row is not as long as its head.
    """
    counts = Counter(anchor for section in page.sections for anchor in _anchors(section))
    twice = sorted(anchor for anchor, count in counts.items() if count > 1)
    if twice:
        raise ValueError(f"anchors stand twice on the page: {', '.join(twice)}")
    script = _script() if any(_sorts(block) for block in _blocks(page)) else ""
    template = _environment().get_template("page.html.j2")
    html = template.render(page=page, script=script, policy=_policy(page, script)) + "\n"
    return shown_letters(html)


def shown_letters(text: str) -> str:
    """A text with a sign in place of control characters, which neither HTML nor XML may hold."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _script() -> str:
    """The script that sorts tables, as it stands in a page."""
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, "sort.js.j2")[0]


def _policy(page: Page, script: str) -> str:
    """What a browser may do: apply styles, and what else there is on this page."""
    rules = ["default-src 'none'", "style-src 'unsafe-inline'"]
    if any(isinstance(block, Drawing) and block.has_images for block in _blocks(page)):
        rules.append("img-src data:")
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        rules.append(f"script-src 'sha256-{digest}'")
    return "; ".join(rules)


def _blocks(page: Page) -> Iterator[Block]:
    for section in page.sections:
        yield from section.blocks
        for part in section.sections:
            yield from part.blocks


def _sorts(block: Block) -> bool:
    return isinstance(block, Table) and block.can_be_sorted


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
            if any(len(row) != len(block.head) for row in (*block.rows, *block.foot)):
                raise ValueError(f"table {block.anchor} has rows that are not as long as its head")
            yield block.anchor
        elif isinstance(block, Drawing):
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
