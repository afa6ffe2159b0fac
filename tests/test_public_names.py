"""The public names as a type checker sees them: real types, not ``Any``."""

import ast
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import fedseed

ROOT = Path(__file__).parents[1]
USER = """
from pathlib import Path

import fedseed
from fedseed import Recipe, decode_seed, grow, random_seed

seed = random_seed("bert-tiny", 2, 7, "scaled")
reveal_type(seed)
reveal_type(grow(fedseed.encode_seed(seed)))
reveal_type(Recipe().steps)
reveal_type(fedseed.make_plan)
"""
WRONG = """
import fedseed

fedseed.random_seed("bert-tiny", "two", 7, "scaled")
fedseed.decode_seed("text")
fedseed.nothing_of_that_name
"""


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


def check(path: Path) -> str:
    """What mypy says of a user's file."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(path)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_a_user_sees_real_types(tmp_path: Path) -> None:
    path = tmp_path / "user.py"
    path.write_text(USER)
    said = check(path)
    assert "Success" in said, said
    for revealed in ("fedseed.seeds.base.Seed", "torch.nn.modules.module.Module", "int"):
        assert f'Revealed type is "{revealed}"' in said, said
    assert "-> fedseed.runs.plan.Plan" in said


def test_a_wrong_call_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(WRONG)
    said = check(path)
    assert 'Argument 2 to "random_seed" has incompatible type "str"' in said, said
    assert 'Argument 1 to "decode" has incompatible type "str"' in said, said
    assert 'has no attribute "nothing_of_that_name"' in said, said
