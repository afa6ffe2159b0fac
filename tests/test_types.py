"""Types: of our own code, and of the public names as a user's type checker sees them."""

import subprocess
import sys
from pathlib import Path

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


def test_types(tmp_path: Path) -> None:
    """In one run, since most of its time goes into reading the libraries."""
    user, wrong = tmp_path / "user.py", tmp_path / "wrong.py"
    user.write_text(USER)
    wrong.write_text(WRONG)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "fedseed", "simulations", "benchmarks",
         str(user), str(wrong)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    said = done.stdout + done.stderr
    errors = [line for line in said.splitlines() if ": error: " in line]
    assert len(errors) == 3, said
    assert all(wrong.name in error for error in errors), said
    for error in (
        'Argument 2 to "random_seed" has incompatible type "str"',
        'Argument 1 to "decode" has incompatible type "str"',
        'has no attribute "nothing_of_that_name"',
    ):
        assert error in said, said
    for revealed in ("fedseed.seeds.base.Seed", "torch.nn.modules.module.Module", "int"):
        assert f'Revealed type is "{revealed}"' in said, said
    assert "-> fedseed.runs.plan.Plan" in said, said
    assert "Found 3 errors in 1 file" in said, said
