"""A record's figure within a page: the same that figure.png shows, as SVG."""

import base64
import struct
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fedseed.results.report.blocks import Drawing
from fedseed.results.report.page import shown_letters

Draw = Callable[[Mapping[str, Any], Path], None]
"""Draws a record's figure, to a path, in the format that its name asks for."""
_LARGEST = 1_000_000
"""Characters of SVG; a figure of more is put into the page as pixels."""
_POINTS = 72 / 130
"""Of a pixel of figure.png."""


def drawing(
    record: Mapping[str, Any], draw: Draw, anchor: str, title: str, caption: str,
    vector: bool = True,
) -> Drawing:  # fmt: skip
    """Draw a record's figure for a page; the same record gives the same.

    Args:
        record: what is drawn.
        draw: how.
        anchor: unique on the page.
        title: what the figure is.
        caption: what stands below it, and is read to those who do not see it.
        vector: False for a figure of so many points that pixels are smaller.
    """
    with tempfile.TemporaryDirectory() as folder:
        path, shapes = Path(folder) / "figure.svg", ""
        if vector:
            draw(record, path)
            shapes, width, height = _inside(path.read_text(encoding="utf-8"))
        if not 0 < len(shapes) <= _LARGEST:
            path = path.with_suffix(".png")
            draw(record, path)
            shapes, width, height = _pixels(path.read_bytes())
    return Drawing(anchor, title, caption, shapes, width, height, caption)


def _inside(svg: str) -> tuple[str, float, float]:
    """What stands within matplotlib's ``svg`` element, and its width and height in points.

    Comments, which quote the figure's words, and names of groups are left out. The style, which
    would hold for the whole page, is one that the page gives the element itself.
    """
    root = ET.fromstring(shown_letters(svg))  # noqa: S314  # written a moment ago, by matplotlib
    width, height = (float(number) for number in root.attrib["viewBox"].split()[2:])
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {
            _local(name): ("" if value.startswith("data:") else " ").join(value.split())
            for name, value in element.attrib.items()
        }
        element.text = element.tail = None
        if element.tag == "g":
            element.attrib.pop("id", None)
        for style in [child for child in element if _local(child.tag) == "style"]:
            element.remove(style)
    return "\n".join(ET.tostring(child, encoding="unicode") for child in root), width, height


def _local(name: str) -> str:
    """A name without its namespace; ``href`` needs none in a page."""
    return name.rpartition("}")[2]


def _pixels(png: bytes) -> tuple[str, float, float]:
    """A PNG file as an image within SVG, and its width and height in points."""
    width, height = (side * _POINTS for side in struct.unpack(">II", png[16:24]))
    data = base64.b64encode(png).decode()
    image = (
        f'<image width="{width:.2f}" height="{height:.2f}" href="data:image/png;base64,{data}"/>'
    )
    return image, width, height
