"""A page read back, to be checked: anchors, links, headings, what it would load and run."""

import base64
import hashlib
import re
from collections.abc import Sequence
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "link", "input", "area", "base", "col", "embed", "source", "wbr"}
LOADS = {"src", "srcset", "data", "poster", "action", "formaction", "background", "xlink:href"}


class Read(HTMLParser):
    """What a page is made of; raises AssertionError where tags do not match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[tuple[str, str]] = []
        self.levels: list[int] = []
        self.tags: list[str] = []
        self.named_by: list[str] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.attributes: list[tuple[str, dict[str, str]]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    @property
    def text(self) -> str:
        """All words outside the style, with single spaces."""
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.attributes.append((tag, given))
        if tag not in VOID:
            self._open.append(tag)
        if tag[0] == "h" and tag[1:].isdigit():
            self.levels.append(int(tag[1:]))
        self.ids += [given["id"]] if "id" in given else []
        if tag == "image":
            self.loads.append(("href", given["href"]))
        elif "href" in given:
            self.links.append(given["href"])
        self.loads += [(name, value) for name, value in given.items() if name in LOADS]
        for name in ("aria-labelledby", "aria-describedby"):
            self.named_by += given.get(name, "").split()

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            self.scripts.append(data)
        if not {"style", "script"} & set(self._open):
            self.words.append(data)


def check_page(page: str) -> Read:
    """Read a page and check what every report must keep to."""
    read = Read(page)
    assert page.startswith("<!doctype html>")
    assert '<html lang="en">' in page
    assert len(page.encode()) < 2_000_000
    check_policy(read)
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & set(read.tags)
    assert all(value.startswith("data:image/png;base64,") for _, value in read.loads)
    assert all(where == "#" for where in re.findall(r"url\((.?)", page))
    assert not any("://" in value for _, given in read.attributes for value in given.values())
    assert "@import" not in page
    assert not any(name.startswith("on") for _, given in read.attributes for name in given)
    assert len(read.ids) == len(set(read.ids))
    assert all(link.startswith("#") and link[1:] in read.ids for link in read.links)
    assert set(read.named_by) <= set(read.ids)
    assert read.levels[0] == 1
    assert read.levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(read.levels, read.levels[1:]))
    assert {"header", "nav", "main", "footer"} <= set(read.tags)
    assert read.tags.count("table") == read.tags.count("caption")
    assert all(given.get("scope") for tag, given in read.attributes if tag == "th")
    for tag, given in read.attributes:
        if tag == "svg":
            assert given["role"] == "img"
    assert read.tags.count("svg") == read.tags.count("desc") == read.tags.count("figcaption")
    return read


def check_policy(read: Read) -> None:
    """The page allows itself its own script, by its digest, its own pixels, and nothing else."""
    policies = [
        given["content"] for tag, given in read.attributes
        if tag == "meta" and given.get("http-equiv") == "Content-Security-Policy"
    ]  # fmt: skip
    wanted = ["default-src 'none'", "style-src 'unsafe-inline'"]
    wanted += ["img-src data:"] if read.loads else []
    for script in read.scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        wanted.append(f"script-src 'sha256-{digest}'")
    assert [policy.split("; ") for policy in policies] == [wanted]
    assert read.tags.count("script") == len(read.scripts) <= 1
    assert all(given == {} for tag, given in read.attributes if tag == "script")
    assert any(given.get("class") == "sorts" for _, given in read.attributes) == bool(read.scripts)
