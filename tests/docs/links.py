"""Links and headings of a page, as GitHub reads them."""

import re
from pathlib import Path

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def links(text: str) -> list[str]:
    """Targets of links and pictures outside code."""
    return _LINK.findall(_CODE.sub("", _FENCE.sub("", text)))


def anchors(path: Path) -> set[str]:
    """Names that links may have behind ``#``, of a Markdown file."""
    headings = _HEADING.findall(_FENCE.sub("", path.read_text(encoding="utf-8")))
    return {_slug(heading) for heading in headings}


def _slug(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return kept.strip().replace(" ", "-")
