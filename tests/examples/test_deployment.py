"""The example of a deployment, and the files that it brings for operators."""

import configparser
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "deployment"


def test_the_app_has_the_options_of_the_package_and_no_code() -> None:
    def flower(path: Path) -> dict[str, Any]:
        app: dict[str, Any] = tomllib.loads(path.read_text())["tool"]["flwr"]["app"]
        return app

    assert flower(EXAMPLE / "app" / "pyproject.toml") == flower(ROOT / "pyproject.toml")
    assert [path.name for path in (EXAMPLE / "app").iterdir()] == ["pyproject.toml"]


def commands() -> dict[str, str]:
    """What the templates start, by file and name."""
    found = {}
    for path in sorted(EXAMPLE.glob("*.service")):
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read(path)
        assert set(unit.sections()) == {"Unit", "Service", "Install"}
        found[path.name] = unit["Service"]["ExecStart"]
    compose = yaml.safe_load((EXAMPLE / "compose.yaml").read_text())
    for name, service in compose["services"].items():
        assert {"image", "command", "volumes"} <= service.keys()
        found[name] = service["command"]
    return found


@pytest.mark.parametrize("name", sorted(commands()))
def test_a_template_s_flags_are_flower_s(name: str) -> None:
    import shlex

    words = shlex.split(commands()[name])
    tool = Path(words[0]).name
    said = subprocess.run(
        [str(Path(sys.executable).parent / tool), "--help"], capture_output=True, text=True
    ).stdout
    for word in words:
        if word.startswith("--"):
            assert word in said, word


@pytest.mark.deployment
@pytest.mark.timeout(900)
def test_three_sites_over_tls(tmp_path: Path) -> None:
    """One study in the suite; ``make deployment`` runs both."""
    words = [sys.executable, str(EXAMPLE / "run.py"), "--studies", "1", "--out", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    record = json.loads(Path(last.removeprefix("record: ")).read_text())
    assert record["status"] == "completed"
    assert record["provenance"]["dataset"]["sites"] == [
        "North clinic", "South bank", "West paper",
    ]  # fmt: skip
    assert record["provenance"]["machine"]["kernels"].startswith("compiled")
    assert record["provenance"]["privacy"]["epsilon"] <= 4.0
    pooled = record["results"]["aggregated"]["pooled"]
    assert pooled["n"] > 700
    assert pooled["ci95"][0] > pooled["majority_baseline"]
    off = re.findall(r"Flower counts [\d,]+ \(([+-][\d.]+) %\)", done.stdout)
    assert len(off) == 2
    assert all(abs(float(one)) < 2 for one in off), done.stdout
    spent = [json.loads(path.read_text()) for path in tmp_path.glob("states/*/spent.json")]
    assert [list(one.values()) for one in spent] == [[4.0]] * 3
