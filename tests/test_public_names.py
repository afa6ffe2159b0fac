"""The public names: imported when used, and typed where they are installed."""

import ast
import tomllib
from importlib import resources
from pathlib import Path

import fedseed

ROOT = Path(__file__).parents[1]


def imports_for_type_checkers() -> dict[str, str]:
    """Public names and where they are, as the block for type checkers has them."""
    tree = ast.parse(Path(fedseed.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    return {
        alias.asname or alias.name: f"{node.module}:{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_both_lists_agree() -> None:
    """Imported when used, and seen by a type checker: the same names from the same places."""
    lazy = {
        name: place if ":" in place else f"{place}:{name}"
        for name, place in fedseed._PLACES.items()
    }
    assert imports_for_type_checkers() == lazy


def test_types_are_installed() -> None:
    assert (resources.files("fedseed") / "py.typed").is_file()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "py.typed" in project["tool"]["setuptools"]["package-data"]["fedseed"]
