"""Studies describe themselves: found by their folders, even, apart from each other, light."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import fedseed.studies
from fedseed.studies import find_studies
from fedseed.studies.base import Study
from fedseed.studies.options import StudyOptions

ROOM = Path(fedseed.studies.__file__).parent
FOLDERS = sorted(path.parent.name for path in ROOM.glob("*/__init__.py"))


def test_every_folder_is_a_study_of_its_name() -> None:
    assert list(find_studies()) == FOLDERS
    assert len(FOLDERS) >= 5


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_study_has_what_its_description_says(kind: str) -> None:
    about = find_studies()[kind]
    assert about.study_class.about is about
    assert issubclass(about.study_class, Study)
    assert issubclass(about.options_class, StudyOptions)
    assert "\n" not in about.summary
    places = (about.options, about.study, about.table, about.figure)
    files = [place.partition(":")[0].rpartition(".")[2] for place in places]
    assert files == ["options", "study", "table", "figure"]
    assert about.report is None or about.report.startswith(f"fedseed.studies.{kind}.report:")
    assert (ROOM / kind / "cells.py").is_file()


@pytest.mark.parametrize("kind", FOLDERS)
def test_no_study_imports_another(kind: str) -> None:
    for path in (ROOM / kind).glob("*.py"):
        others = set(re.findall(r"fedseed\.studies\.(\w+)", path.read_text())) & set(FOLDERS)
        assert others <= {kind}, path


def test_options_are_read_without_torch() -> None:
    code = (
        "import sys; from fedseed.studies import find_studies; "
        "[study.options_class for study in find_studies().values()]; "
        "print([m for m in ('torch', 'flwr', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
