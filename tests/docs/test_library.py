"""The example of the page on the library runs as it stands there; the reference has every name."""

import re
from pathlib import Path

import pytest

import fedseed
from tests.docs.pages import read_page
from tests.topics import write_topics


def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = read_page("docs/guide/library.md").split("```python\n")[1:]
    monkeypatch.chdir(tmp_path)
    write_topics(tmp_path / "my.csv", classes=2, texts=200)
    exec(compile(example.split("```")[0], "library.md", "exec"), {})
    assert capsys.readouterr().out.startswith("20 steps, ")
    assert Path("my.fseed").stat().st_size == 50


def test_every_public_name_is_in_the_reference() -> None:
    named = re.findall(r"^::: fedseed\.(\w+)$", read_page("docs/reference.md"), re.MULTILINE)
    assert sorted(named) == sorted(fedseed.__all__)
