"""A study's table.md as parts of a page: the very words and numbers of the file."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from fedseed.results.fitting import FittingMarkdown
from fedseed.results.report.blocks import Block, Paragraph, Section, Table
from fedseed.results.report.page import slug

if TYPE_CHECKING:
    from markdown_it.token import Token


@dataclass
class Read:
    """What a file of Markdown holds."""

    title: str = ""
    sections: list[Section] = field(default_factory=list)


def read_markdown(text: str, first: str) -> Read:
    """Read title, sections, paragraphs and tables.

    A line in bold, or one that ends in a colon, names the table below it, and so does what a
    paragraph before it begins with in bold; other tables are named after their section.

    Args:
        text: as the studies' tables write it: headings, paragraphs and tables.
        first: the title of what stands before the first section of its own.
    """
    read, title, blocks, name = Read(), first, list[Block](), ""
    parts = [*_parts(FittingMarkdown(text).parsed), _Part("h2", "", [])]
    captions: dict[str, int] = {}
    for part, following in itertools.pairwise([*parts, parts[-1]]):
        if part.kind == "h1":
            read.title = part.words
        elif part.kind == "h2":
            read.sections += _section(title, blocks)
            title, blocks, name = part.words, [], ""
        elif part.kind == "table":
            blocks.append(_table(part.rows, name, title, captions))
            name = ""
        elif following.kind == "table" and (line := _named(part.words)):
            name = line
        else:
            blocks.append(Paragraph(part.words.replace(_BOLD, "")))
            name = _begins_with(part.words) or name
    return read


_BOLD = "\0"
"""Stands before and after what is bold in the words of a paragraph; nothing else has it."""
_LONGEST_NAME = 200
"""Letters of a table's caption."""


class _Part(NamedTuple):
    """A heading, a paragraph or a table."""

    kind: str
    """``h1``, ``h2``, ``p`` or ``table``."""
    words: str
    rows: list[list[str]]
    """Of a table, its head first."""


def _section(title: str, blocks: Sequence[Block]) -> list[Section]:
    return [Section(f"section-{slug(title)}", title, [*blocks])] if blocks else []


def _table(
    rows: Sequence[list[str]], name: str, section: str, captions: dict[str, int]
) -> Table:  # fmt: skip
    """A table with a caption that no other has; ``captions`` counts those that there are."""
    head, *body = rows
    head = [words or "what" for words in head]
    caption = name or f"{section}, by {head[0]}"
    captions[caption] = number = captions.get(caption, 0) + 1
    if number > 1:
        caption = f"{caption}, table {number}"
    return Table(f"table-{sum(captions.values())}", caption, head, body, sorts=True)


def _named(words: str) -> str:
    """What a line names, if it is all in bold and no sentence, or ends in a colon."""
    plain = words.replace(_BOLD, "")
    if plain.endswith(":") and len(plain) <= _LONGEST_NAME:
        return plain.rstrip(":")
    bold = _begins_with(words)
    return bold if bold == plain else ""


def _begins_with(words: str) -> str:
    """What a paragraph begins with in bold, unless that is a sentence."""
    if not words.startswith(_BOLD):
        return ""
    bold = words[1:].partition(_BOLD)[0].rstrip(":")
    return "" if bold.endswith(".") else bold


def _parts(tokens: "Sequence[Token]") -> Iterator[_Part]:
    """Headings, paragraphs and tables in their order."""
    rows: list[list[str]] = []
    kind = ""
    for token in tokens:
        if token.type in ("heading_open", "paragraph_open"):
            kind = token.tag
        elif token.type == "table_open":
            kind, rows = "table", []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "table_close":
            yield _Part("table", "", rows)
        elif token.type == "inline" and kind == "table":
            rows[-1].append(_words(token).replace(_BOLD, ""))
        elif token.type == "inline":
            yield _Part(kind, _words(token), [])


def _words(token: "Token") -> str:
    """The words of a line, with marks around what is bold."""
    written = []
    for child in token.children or ():
        if child.type in ("strong_open", "strong_close"):
            written.append(_BOLD)
        elif child.type in ("softbreak", "hardbreak"):
            written.append(" ")
        else:
            written.append(child.content.replace(_BOLD, ""))
    return "".join(written)
