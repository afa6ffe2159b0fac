"""Every link of every page leads somewhere, on GitHub as in the site."""

import subprocess
from pathlib import Path

import pytest

from tests.docs.links import anchors, links
from tests.docs.pages import DOCS, ROOT

PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def test_there_are_pages() -> None:
    assert len(PAGES) > 50


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page.read_text(encoding="utf-8")):
        assert "://" not in link, f"{link}: pages link to what is in this repository"
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.is_file(), link
        assert path.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(path), link


def test_what_pages_link_to_is_kept_in_the_repository() -> None:
    """A file that git ignores is on this machine alone."""
    inside = {
        str((page.parent / link.partition("#")[0]).resolve().relative_to(ROOT))
        for page in PAGES
        for link in links(page.read_text(encoding="utf-8"))
        if link.partition("#")[0]
    }
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        input="\n".join(sorted(inside)), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == ""


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_page_can_be_found(page: Path) -> None:
    """Some other page links to it."""
    if page.name in ("README.md", "CHANGELOG.md") and page.parent in (ROOT, DOCS):
        return
    linked = {
        (other.parent / link.partition("#")[0]).resolve()
        for other in PAGES
        if other != page
        for link in links(other.read_text(encoding="utf-8"))
    }
    # A folder's own README.md is what GitHub shows of the folder.
    assert page in linked or (page.name == "README.md" and page.parent in linked)
