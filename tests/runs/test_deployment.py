"""A deployment: what only one machine could find is refused."""

from pathlib import Path
from typing import Any, cast

import pytest

from fedseed.config import RunConfig
from fedseed.errors import ConfigError, InputError
from fedseed.federation.engines import Grid
from fedseed.runs.deployment import serve

NOBODY = cast(Grid, None)


def serve_with(**options: Any) -> None:
    serve(NOBODY, RunConfig.parse(options).to_run_config())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("data", {"data": "tables/reviews.csv"}),
        ("data", {"data": "reviews.csv"}),
        ("model", {"model": "./mine"}),
        ("model", {"model": "here"}),
        ("recipe", {"recipe": "given.toml"}),
        ("seed-file", {"seed_file": "a.fseed"}),
        ("public", {"protocol": "labels", "public": "texts.txt"}),
    ],
)
def test_relative_paths_are_refused(
    name: str, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "reviews.csv").write_text("text,label\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"^{name}='.*' is relative, .* give the whole path"):
        serve_with(**options)


@pytest.mark.parametrize("options", [{"data": "/none.csv"}, {"data": "hub:none/none"}])
def test_whole_paths_and_names_are_looked_for(options: dict[str, Any]) -> None:
    with pytest.raises(InputError) as refused:
        serve_with(**options)
    assert "relative" not in str(refused.value)


def test_names_are_no_paths(reviews: Path) -> None:
    public = {"protocol": "labels", "public": "reviews:999"}
    with pytest.raises(InputError, match="write reviews:N"):
        serve_with(data=str(reviews), **public)
