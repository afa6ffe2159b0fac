"""The house's own rules: imports point one way, the public door is explicit, no silencing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fedseed

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fedseed"


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_there_are_modules() -> None:
    assert len(modules()) > 30


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_federation_imports_flower(path: Path) -> None:
    flower = {name for name in imports(path) if name.partition(".")[0] in ("flwr", "ray")}
    assert not flower or path.parent.name == "federation"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_measuring_rooms_are_not_imported_by_those_before_protocols(path: Path) -> None:
    before = ("data", "models", "seeds")
    if path.parent.name not in before:
        return
    for name in imports(path):
        room = name.removeprefix("fedseed.").partition(".")[0]
        later = ("protocols", "federation", "studies", "results", "privacy", "cli")
        assert not (name.startswith("fedseed.") and room in later), name


def test_public_door() -> None:
    assert sorted(fedseed.__all__) == sorted(fedseed._PLACES)
    assert 15 <= len(fedseed.__all__) <= 25
    for name in fedseed.__all__:
        assert getattr(fedseed, name) is not None
    with pytest.raises(AttributeError):
        _ = fedseed.nothing


def test_import_is_light() -> None:
    heavy = "('torch', 'flwr', 'pandas', 'scipy')"
    code = f"import sys, fedseed.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_pickle_no_remote_code(path: Path) -> None:
    assert not {"pickle", "cloudpickle", "joblib", "dill"} & imports(path)
    source = path.read_text()
    assert "trust_remote_code=True" not in source
    assert "torch.load" not in source


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_global_random_state(path: Path) -> None:
    assert "random" not in imports(path)
    source = path.read_text()
    assert "np.random.seed" not in source
    assert "default_rng(" not in source


def test_ruff() -> None:
    for words in (["check", "."], ["format", "--check", "."]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_mypy() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "fedseed"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_flower_can_load_the_apps() -> None:
    import tomllib

    from flwr.clientapp import ClientApp
    from flwr.serverapp import ServerApp

    from fedseed import apps
    from fedseed.config import RunConfig

    assert isinstance(apps.client_app, ClientApp)
    assert isinstance(apps.server_app, ServerApp)
    app = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["flwr"]["app"]
    assert app["components"]["serverapp"] == "fedseed.apps:server_app"
    assert app["components"]["clientapp"] == "fedseed.apps:client_app"
    shipped = RunConfig.from_run_config(app["config"])
    assert shipped == RunConfig()
    assert set(app["config"]) == set(shipped.to_run_config())
