"""Seed kinds describe themselves: fedseed's own, and those that other packages bring."""

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedseed.discovery import entry_points
from fedseed.errors import SeedError
from fedseed.models.architecture import architecture
from fedseed.seeds import registry
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import (
    assemble,
    decode,
    describe,
    encode,
    expected_errors,
    read_seed,
    sizes,
)
from fedseed.seeds.kinds.random import random_seed
from fedseed.seeds.make import make_row, make_seed

SHAPES = architecture("bert-tiny").shapes()
TOY = """
    import struct

    from pydantic import Field

    from fedseed.seeds.base import Seed, SeedFormat
    from fedseed.seeds.prng import normal
    from fedseed.seeds.description import SeedKind, SeedOptions, SeedRow


    class ToyOptions(SeedOptions):
        scale: float = Field(1.0, gt=0, description="Factor on all deviations.")


    class ToyFormat(SeedFormat):
        def make(self, material):
            deviation = max(float(values.std()) for values in material.state().values())
            payload = struct.pack("<Qf", material.key, deviation * material.options.scale)
            return Seed("toy", material.model, material.labels, payload)

        def assemble(self, seed, shapes):
            key, deviation = struct.unpack("<Qf", seed.payload)
            return {name: normal(key, name, shape, deviation) for name, shape in shapes.items()}

        def sizes(self, seed, shapes):
            return {"key": 8.0, "deviation": 4.0}

        def describe(self, payload):
            key, deviation = struct.unpack("<Qf", payload)
            return {"key": key, "deviation": round(deviation, 3)}


    SEED_KIND = SeedKind(
        name="toy", code=200, summary="one deviation of everything", made_from="weights",
        format=f"{__name__}:ToyFormat", options=ToyOptions,
        rows={"toy": SeedRow("toy: one number")},
    )
"""

Install = Callable[[str, str], Path]


def write_package(folder: Path, source: str, name: str) -> None:
    """A package as pip would leave it: a module, and its entry point beside it."""
    (folder / f"{name}_seeds.py").write_text(textwrap.dedent(source))
    info = folder / f"{name}-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-package\nVersion: 0.1\n")
    points = f"[fedseed.seeds]\n{name} = {name}_seeds:SEED_KIND\n"
    (info / "entry_points.txt").write_text(points)


def forget() -> None:
    entry_points.cache_clear()
    registry._registry.cache_clear()
    registry.format_of.cache_clear()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install packages that bring a seed kind, in this process."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def write(source: str, name: str = "toy") -> Path:
        write_package(folder, source, name)
        forget()
        return folder

    yield write
    for name in [name for name in sys.modules if name.endswith("_seeds")]:
        del sys.modules[name]
    forget()


def weights() -> dict[str, Any]:
    return assemble(random_seed("bert-tiny", 2, 3, "bert"), SHAPES)


def toy_seed() -> Seed:
    return make_seed("toy", "bert-tiny", 2, 7, weights(), {"scale": 2.0})


def test_fedseeds_kinds_have_their_codes() -> None:
    """As in docs/fseed.md: a code never changes."""
    codes = {name: kind.code for name, kind in registry.seed_kinds().items()}
    own = {"random": 1, "pretrained": 2, "minimal": 3, "stats": 4, "pca": 5, "lexicon": 6}
    own |= {"unigram": 7, "coordinates": 8}
    assert codes == own
    rows = ["random-bert", "random-scaled", "minimal", "stats", "pca", "lexicon"]
    assert list(registry.seed_rows()) == rows


def test_descriptions_are_light() -> None:
    heavy = "('torch', 'transformers', 'scipy', 'constriction', 'pandas')"
    code = (
        "import sys; from fedseed.seeds.registry import seed_kinds; seed_kinds(); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_kind_of_another_package(install: Install) -> None:
    install(TOY, "toy")
    seed = toy_seed()
    assert decode(encode(seed)) == seed
    assert encode(seed)[5] == 200
    assert describe(seed)["kind"] == "toy"
    assert sum(sizes(seed, SHAPES).values()) == len(encode(seed))
    assert expected_errors(seed, SHAPES) == {}
    assert {name: values.shape for name, values in assemble(seed, SHAPES).items()} == SHAPES
    twice, once = (
        assemble(seed, SHAPES),
        assemble(make_row("toy", "bert-tiny", 2, 7, weights()), SHAPES),
    )
    for name, values in once.items():
        np.testing.assert_allclose(twice[name], 2 * values, rtol=1e-6)


def test_studies_take_its_row(install: Install) -> None:
    from fedseed.studies.ablation.cells import starts_of
    from fedseed.studies.budget.cells import BudgetOptions
    from fedseed.studies.zero_shot.study import ZeroShot

    install(TOY, "toy")
    assert ("toy", "original") in starts_of("balanced", list(registry.seed_rows()))
    assert ("toy", "untrained") in starts_of("one_class", list(registry.seed_rows()))
    assert BudgetOptions.parse({"starts": "toy"}).starts == "toy"
    study = ZeroShot.from_options({})
    names = [cell.arguments["row"] for cell in study._cells("language", study._rows(True), 1.0)]
    assert names.count("toy") == study.config.repeats


def test_without_its_package(install: Install, tmp_path: Path) -> None:
    install(TOY, "toy")
    path = tmp_path / "a.fseed"
    path.write_bytes(encode(toy_seed()))
    (tmp_path / "site-packages" / "toy-0.1.dist-info" / "entry_points.txt").unlink()
    forget()
    with pytest.raises(SeedError, match="of kind number 200, unknown to this version"):
        read_seed(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('name="toy", code=200', 'name="toy", code=5'), "code 5, which is pca's"),
        (('name="toy", code=200', 'name="toy", code=9'), "packages take one in 128 to 255"),
        (('name="toy", code=200', 'name="toy", code=300'), "packages take one in 128 to 255"),
        (('rows={"toy"', 'rows={"pca"'), "a row 'pca', which is pca's"),
        (('name="toy"', 'name="other"'), "is no SeedKind"),
        (("import struct", "import nothing_of_that_name"), "cannot be imported"),
    ],
)
def test_refused_packages(install: Install, change: tuple[str, str], message: str) -> None:
    """One line that names the package; fedseed's own kinds work beside it."""
    install(TOY.replace(*change), "toy")
    with pytest.raises(SeedError, match=message) as raised:
        registry.find_kind("toy")
    assert "toy-package" in str(raised.value)
    assert "\n" not in str(raised.value)
    own = ["random", "pretrained", "minimal", "stats", "pca", "lexicon", "unigram"]
    own.append("coordinates")
    assert list(registry.seed_kinds()) == own
    seed = random_seed("bert-tiny", 2, 1, "bert")
    assert decode(encode(seed)) == seed


def test_a_code_of_two_kinds_is_not_read(install: Install) -> None:
    install(TOY, "toy")
    encoded = encode(toy_seed())
    install(TOY.replace('name="toy"', 'name="rival"').replace('{"toy"', '{"rival"'), "rival")
    with pytest.raises(SeedError, match="toy-package has code 200, which is rival's"):
        decode(encoded)


def test_a_name_of_two_kinds_is_not_made(install: Install) -> None:
    install(TOY.replace('name="toy", code=200', 'name="pca", code=201'), "pca")
    with pytest.raises(SeedError, match="pca-package has the name of another kind"):
        registry.find_kind("pca")


def test_a_broken_package_is_named_where_its_seed_cannot_be_read(install: Install) -> None:
    folder = install(TOY, "toy")
    encoded = encode(toy_seed())
    (folder / "toy_seeds.py").write_text("raise RuntimeError('half installed')")
    del sys.modules["toy_seeds"]
    forget()
    with pytest.raises(SeedError, match=r"kind number 200.*toy-package cannot be imported"):
        decode(encoded)
