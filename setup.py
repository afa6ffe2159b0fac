"""What pyproject.toml cannot say: how the kernels of fedseed/training/kernels are compiled."""

import hashlib
import platform
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FOLDER = Path("fedseed/training/kernels")
SOURCES = [Path("setup.py"), *sorted([*FOLDER.glob("*.c"), *FOLDER.glob("*.inc")])]
"""As in library.py, which takes no library made of others."""
SEAL_BYTES = 32


class SealedBuild(build_ext):
    """Ends a library with the SHA-256 of all before, so that one written half is not loaded.

    On Linux alone: elsewhere nothing may be added to a library.
    """

    def build_extension(self, ext: Extension) -> None:
        """Compile, unless that was done before to its end."""
        path = Path(self.get_ext_fullpath(ext.name))
        if sys.platform == "linux" and path.exists() and not is_sealed(path.read_bytes()):
            path.unlink()
        super().build_extension(ext)
        content = path.read_bytes()
        if sys.platform == "linux" and not is_sealed(content):
            with path.open("ab") as file:
                file.write(hashlib.sha256(content).digest())


def is_sealed(content: bytes) -> bool:
    """Whether a library ends with the digest of what is before."""
    return hashlib.sha256(content[:-SEAL_BYTES]).digest() == content[-SEAL_BYTES:]


def kernels() -> Extension:
    """The extension; optional, so that without a compiler fedseed installs all the same."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()
    # Sums may be made in any order; NaN stays NaN, unlike with -ffast-math.
    flags = ["-O3", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math"]
    flags += ["-fassociative-math", "-fno-signed-zeros"]
    if platform.machine() in ("x86_64", "AMD64"):
        flags += ["-mprefer-vector-width=512", "-mtune=icelake-server"]
    return Extension(
        "fedseed.training.kernels._kernels",
        sources=[str(FOLDER / "kernels.c")],
        depends=[str(path) for path in SOURCES],
        libraries=[] if platform.system() == "Windows" else ["m"],
        define_macros=[("KERNELS_DIGEST", f'"{digest}"')],
        extra_compile_args=flags,
        optional=True,
    )


setup(ext_modules=[kernels()], cmdclass={"build_ext": SealedBuild})
