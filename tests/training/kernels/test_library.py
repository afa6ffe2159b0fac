"""Which compiled libraries are loaded, and which are not."""

import hashlib
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
import torch

from fedseed.training import kernels
from fedseed.training.kernels.library import is_whole, load
from tests.training.kernels.helpers import needs_kernels

FOLDER = Path(kernels.__file__).parent
LIBRARY = FOLDER / f"_kernels{EXTENSION_SUFFIXES[0]}"


def test_they_are_compiled_where_a_compiler_is() -> None:
    compiler = shutil.which((sysconfig.get_config_var("CC") or "none").split()[0])
    if compiler is None or platform.libc_ver()[0] != "glibc":
        pytest.skip("no compiler or no glibc here")
    about = subprocess.run([compiler, "-v"], capture_output=True, text=True, check=True).stderr
    version = re.search(r"^gcc version (\d+)", about, re.MULTILINE)
    if version is None or int(version[1]) < 12:
        pytest.skip("not gcc, or an older one")
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        pytest.skip("an older processor")
    assert kernels.are_available(), "remove .venv/.stamp and run make setup"


@needs_kernels
def test_libraries_that_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(LIBRARY, FOLDER) is not None
    assert load(LIBRARY, tmp_path) is not None  # installed without its sources
    assert load(tmp_path / "none.so", FOLDER) is None
    other = b"not a library"
    (tmp_path / "other.so").write_bytes(other + hashlib.sha256(other).digest())
    assert load(tmp_path / "other.so", FOLDER) is None
    copy = tmp_path / "fedseed" / "training" / "kernels"
    copy.mkdir(parents=True)
    for name in ("../../../setup.py", *(path.name for path in FOLDER.glob("*.[ci]*"))):
        shutil.copy(FOLDER / name, copy / name)
    assert load(LIBRARY, copy) is not None
    (tmp_path / "setup.py").write_text("other_flags")
    assert load(LIBRARY, copy) is None
    with monkeypatch.context() as patch:  # a library without matrix products
        patch.setattr(torch._C, "__file__", str(LIBRARY))
        assert load(LIBRARY, FOLDER) is None
    with monkeypatch.context() as patch:
        patch.setattr(sys, "byteorder", "big")
        assert load(LIBRARY, FOLDER) is None
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    assert load(LIBRARY, FOLDER) is None


@needs_kernels
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's libraries are sealed")
@pytest.mark.parametrize("share", [0.0, 1e-4, 0.1, 0.5, 0.9, 0.9999, "without its seal", "altered"])
def test_a_damaged_library_is_refused_with_a_line(share: float | str, tmp_path: Path) -> None:
    """The system's loader would end the process over most of these."""
    content = LIBRARY.read_bytes()
    if isinstance(share, float):
        content = content[: int(share * len(content))]
    elif share == "altered":
        content = content[:5000] + bytes(4096) + content[9096:]
    else:
        content = content[:-32]
    damaged = tmp_path / "damaged.so"
    damaged.write_bytes(content)
    assert not is_whole(damaged)
    with pytest.warns(RuntimeWarning, match="damaged.*install fedseed again") as caught:
        assert load(damaged, tmp_path) is None
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)


@needs_kernels
def test_training_goes_on_without_a_damaged_library(tmp_path: Path) -> None:
    """As in a worker: a whole process, in which the library is the damaged one."""
    (tmp_path / LIBRARY.name).write_bytes(LIBRARY.read_bytes()[:300_000])
    code = (
        "from fedseed.training.kernels import library as module, are_available\n"
        f"module.__file__ = {str(tmp_path / 'library.py')!r}\n"
        "print(are_available())\n"
        "from fedseed.results.provenance import kernels\n"
        "print(kernels())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "torch"]
    assert done.stderr.count("are damaged") == 1
