"""MkDocs: pages link to files outside ``docs/`` as on GitHub, and the site has a copy of each.

``README.md`` is the site's home; other Markdown files become pages of their own, everything else
(figures, records, examples) is copied. A link to what is not there stays as it is, and the build
fails on it.
"""

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
_LIST = re.compile(r"(\A|^(?![-|#\s]|\d+\. ).+)\n(?=- |1\. )", re.MULTILINE)
"""A line of a paragraph, or a code block's end, and a list below it without an empty line."""
_ROLE = re.compile(r":(?:mod|func|class|meth|data):(?=<code>)")
_LOADED = re.compile(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="?((?:https?:)?//[^\s">]+)')
_PICTURE = re.compile(r'<img [^>]*?src="([^"]+)"[^>]*>')


def place(path: str) -> str:
    """Where a file of the repository is in the site's sources.

    Args:
        path: below the root, such as ``results/official/bytes/table.md``.
    """
    if path == "README.md":
        return "index.md"
    for folder, short in (("docs/", ""), ("results/official/", "official/")):
        if path.startswith(folder):
            return short + path.removeprefix(folder)
    return f"repository/{path}"


def origin(source: str) -> str:
    """The file of the repository that a page was made of: the inverse of :func:`place`."""
    if source == "index.md":
        return "README.md"
    if source.startswith("official/"):
        return f"results/{source}"
    if source.startswith("repository/"):
        return source.removeprefix("repository/")
    return f"docs/{source}"


def _resolve(page: str, link: str) -> str:
    """The file that a link of a page leads to, below the root."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def _outside_code(text: str, work: Callable[[str], str]) -> str:
    """A text of which all but the code blocks was worked on."""
    parts = _FENCE.split(text)
    return "".join(part if part.startswith("```") else work(part) for part in parts)


def _linked(page: str) -> Iterator[str]:
    """Files outside ``docs/`` that a page links to."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for link, _ in _LINK.findall(_outside_code(text, str)):
        path = _resolve(page, link)
        if "://" not in link and not path.startswith("docs/") and (ROOT / path).is_file():
            yield path


def on_files(files: "Files", config: Any) -> "Files":
    """Add what pages link to, what these pages link to, and so on."""
    from mkdocs.structure.files import File

    waiting = ["README.md", *(origin(one.src_uri) for one in files.documentation_pages())]
    known = set(waiting)
    while waiting:
        page = waiting.pop()
        if page == "README.md" or not page.startswith("docs/"):
            files.append(File.generated(config, place(page), abs_src_path=str(ROOT / page)))
        if page.endswith(".md"):
            new = sorted(set(_linked(page)) - known)
            known.update(new)
            waiting.extend(new)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point links at the copies, and set lists apart from what stands above them."""
    return pointed(markdown, page.file.src_uri)


def pointed(markdown: str, here: str) -> str:
    """A page whose links lead to places in the site's sources.

    Args:
        markdown: its text.
        here: its own place.
    """

    def rewrite(match: re.Match[str]) -> str:
        link, anchor = match.group(1), match.group(2) or ""
        path = _resolve(origin(here), link)
        if "://" in link or not (ROOT / path).is_file():
            return match.group(0)
        return posixpath.relpath(place(path), posixpath.dirname(here) or ".") + anchor

    return _outside_code(markdown, lambda text: _LIST.sub(r"\1\n\n", _LINK.sub(rewrite, text)))


def on_page_content(html: str, **_: Any) -> str:
    """Let a click on a figure show it in full (on a telephone its words are small).

    Docstrings name others by roles, such as ``:func:``, of which the name alone is shown.
    """
    html = _PICTURE.sub(lambda match: f'<a href="{match.group(1)}">{match.group(0)}</a>', html)
    return _ROLE.sub("", html)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Fail where a page would load something from elsewhere."""
    from mkdocs.exceptions import PluginError

    loaded = _LOADED.search(output)
    if loaded:
        raise PluginError(f"{page.file.src_uri} loads {loaded.group(1)} from elsewhere")
    return output
