"""What `make docs` builds: every page is in its navigation, every link leads to something in it."""

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.links import links
from tests.docs.pages import DOCS, ROOT, read_page

SITE = read_page("mkdocs.yml")
PAGES = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """The site's hooks, which need no MkDocs until it calls them."""
    (name,) = re.findall(r"^hooks:\n  - (\S+)$", SITE, re.MULTILINE)
    spec = importlib.util.spec_from_file_location("outside", ROOT / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_navigation_has_every_page_once() -> None:
    listed = re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", SITE.split("\nnav:\n")[1], re.MULTILINE)
    assert sorted(listed) == sorted([*PAGES, "index.md"])


def test_nothing_is_loaded_from_elsewhere() -> None:
    assert "\n  font: false\n" in SITE
    assert "://" not in SITE
    assert "url(" not in read_page("docs/assets/site.css")


def test_a_dead_link_ends_the_build() -> None:
    """Warnings end a strict build."""
    checks = SITE.split("\nvalidation:\n")[1].split("\n\n")[0].splitlines()
    kinds = dict(line.strip().split(": ") for line in checks if line.strip() != "nav:")
    wanted = {"omitted_files", "absolute_links", "unrecognized_links", "anchors", "not_found"}
    assert kinds == dict.fromkeys(wanted, "warn")
    assert "mkdocs build --strict" in read_page("Makefile")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *(f"docs/{p}" for p in PAGES)])
def test_links_lead_to_places_in_the_site(hooks: ModuleType, page: str) -> None:
    here = hooks.place(page)
    assert hooks.origin(here) == page
    plain, pointed = links(read_page(page)), links(hooks.pointed(read_page(page), here))
    for before, after in zip(plain, pointed, strict=True):
        target, _, anchor = after.partition("#")
        assert anchor == before.partition("#")[2]
        if target:
            there = Path("/site", here).parent.joinpath(target).resolve().relative_to("/site")
            meant = (ROOT / page).parent.joinpath(before.partition("#")[0]).resolve()
            assert ROOT / hooks.origin(str(there)) == meant


def test_code_is_left_alone(hooks: ModuleType) -> None:
    text = "[a](../LICENSE)\n\n```\n[a](../LICENSE)\n```\n"
    assert hooks.pointed(text, "data.md") == text.replace("../", "repository/", 1)


def test_lists_are_set_apart(hooks: ModuleType) -> None:
    """As on GitHub, where a list needs no empty line above it."""
    text = "Words:\n- one\n- two\n\n```\ncode\n```\n1. first\n2. second\n"
    wanted = "Words:\n\n- one\n- two\n\n```\ncode\n```\n\n1. first\n2. second\n"
    assert hooks.pointed(text, "data.md") == wanted
    assert hooks.pointed(wanted, "data.md") == wanted


def test_roles_of_docstrings_are_not_shown(hooks: ModuleType) -> None:
    assert hooks.on_page_content("see :func:<code>fit</code>") == "see <code>fit</code>"


def test_versions_of_its_packages_are_pinned() -> None:
    extras = tomllib.loads(read_page("pyproject.toml"))["project"]["optional-dependencies"]
    pinned = re.findall(r"^([\w.-]+)==", read_page("constraints.txt"), re.MULTILINE)
    for need in extras["docs"]:
        assert re.split(r"[\[><=]", need)[0] in pinned
