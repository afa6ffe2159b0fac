"""What pyproject.toml cannot say: how the kernels of fedseed/training/kernels.py are compiled."""

import hashlib
import platform
from pathlib import Path

from setuptools import Extension, setup

FOLDER = Path("fedseed/training")
SOURCES = [Path("setup.py"), *sorted(FOLDER.glob("*.[ch]"))]  # as in kernels.py


def kernels() -> Extension:
    """The extension; optional, so that without a compiler fedseed installs all the same."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()
    # Sums may be made in any order; what is no number stays none, unlike with -ffast-math.
    flags = ["-O3", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math"]
    flags += ["-fassociative-math", "-fno-signed-zeros"]
    if platform.machine() in ("x86_64", "AMD64"):
        flags += ["-mprefer-vector-width=512", "-mtune=icelake-server"]
    return Extension(
        "fedseed.training._kernels",
        sources=[str(FOLDER / "kernels.c")],
        depends=[str(path) for path in SOURCES],
        libraries=[] if platform.system() == "Windows" else ["m"],
        define_macros=[("KERNELS_DIGEST", f'"{digest}"')],
        extra_compile_args=flags,
        optional=True,
    )


setup(ext_modules=[kernels()])
