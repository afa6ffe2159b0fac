"""The command ``fedseed``: all parts are there, help is light, mistakes are answered."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fedseed.cli.exit_status import run_app
from fedseed.cli.main import COMMANDS, app
from fedseed.studies import find_studies

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "numpy", "pydantic", "flwr", "transformers", "datasets", "scipy")
STUDIES = [kind.replace("_", "-") for kind in find_studies()]
ALL = [
    *([name] for name in COMMANDS), *(["study", name] for name in STUDIES),
    *(["seed", name] for name in ("extract", "inspect", "grow")),
]  # fmt: skip


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, [*words, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"Usage: fedseed {' '.join(words)} " in shown or "Usage: " in shown
    if words not in (["study"], ["seed"]):
        name = {"inspect": "seed inspect", "extract": "seed extract"}.get(" ".join(words))
        assert f"fedseed {name or ' '.join(words)}" in shown.partition("Examples")[2]


def test_the_examples_are_true(capsys: pytest.CaptureFixture[str]) -> None:
    """Each example names a command and options that there are."""
    for words in ALL:
        run_app(app, [*words, "--help"])
        shown = capsys.readouterr().out.partition("Examples")[2]
        text = " ".join(shown.split())
        for example in text.split("fedseed ")[1:]:
            flags = [word for word in example.split() if word.startswith("--")]
            named = example.split()[: 2 if example.split()[0] in ("study", "seed") else 1]
            protocol = [w for f, w in zip(example.split(), example.split()[1:], strict=False)
                        if f == "--protocol"]  # fmt: skip
            of_protocol = ["--protocol", *protocol] if protocol else []
            run_app(app, [*named, *of_protocol, "--help"])
            known = capsys.readouterr().out
            assert all(f"{flag} " in known or f"{flag}\n" in known for flag in flags), example


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from fedseed.cli.main import app; app(['--help'], standalone_mode=False); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["rum"], "run"), (["predictt", "a"], "predict"), (["study", "ablatoin"], "ablation"),
        (["run", "--client", "3"], "--clients"), (["grow", "--daat", "x"], "--data"),
    ],
)  # fmt: skip
def test_a_mistake_suggests_what_is_meant(
    words: list[str], suggestion: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(app, words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert f"'{suggestion}'" in error
    assert error.count("\n") == 1


def test_shell_completion(tmp_path: Path) -> None:
    environment = os.environ | {
        "_FEDSEED_COMPLETE": "complete_bash", "COMP_WORDS": "fedseed stu", "COMP_CWORD": "1",
    }  # fmt: skip
    code = "import sys; sys.argv = ['fedseed']; from fedseed.cli.main import app; app()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.stdout.split() == ["study"]


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, ["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["bundled data"] == {"value": "installed"}
    assert found["torch"]["value"][0].isdigit()
    assert int(found["cores"]["value"]) > 0
    assert run_app(app, ["doctor"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in found)


def test_a_run_is_the_same_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, ["run", "--clients", "0", "--out", str(tmp_path / "a")]) == 2
    assert "clients = 0" in capsys.readouterr().err
    assert run_app(app, ["study", "privacy", "--repeats", "0"]) == 2
    assert "repeats = 0" in capsys.readouterr().err
