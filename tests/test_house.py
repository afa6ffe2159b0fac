"""The house's own rules: imports point one way, the public door is explicit, no silencing."""

import ast
import graphlib
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import fedseed

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fedseed"


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


ORDER = (
    (
        "errors",
        "randomness",
        "validation",
        "files",
        "hub",
        "options",
        "discovery",
        "machine",
        "memory",
    ),
    ("recipe", "transcript", "ledger", "coding"),
    ("models",),
    ("seeds",),
    ("data",),
    ("linear",),
    ("training",),
    ("privacy",),
    ("recipe_search",),
    ("protocols",),
    ("config", "given_recipe"),
    ("evaluation",),
    ("federation",),
    ("attacks",),
    ("results",),
    ("runs",),
    ("studies",),
    ("cli", "apps"),
    ("__init__", "__main__"),
)
"""Rooms of the package. A module imports from its own line or from lines above it."""
PLACE = re.compile(r"fedseed(\.\w+)+:\w+")
"""What names code that is imported when it is used, such as a protocol's server."""


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(path: Path) -> set[str]:
    """Modules that a file imports, at its top, in functions and for type checkers alike."""
    names: set[str] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in members if name in MODULES}
            names |= modules or {node.module}
    return names


def named(path: Path) -> set[str]:
    """Modules that a file names in text, to be imported when they are used."""
    constants = [node.value for node in ast.walk(parse(path)) if isinstance(node, ast.Constant)]
    places = [value for value in constants if isinstance(value, str) and PLACE.fullmatch(value)]
    return {place.partition(":")[0] for place in places}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    return (*module.split("."), "__init__")[1]


MODULES = {module_of(path): path for path in modules()}
LEVELS = {room: level for level, rooms in enumerate(ORDER) for room in rooms}


def test_there_are_modules() -> None:
    assert len(modules()) > 30
    assert {room_of(module) for module in MODULES} == set(LEVELS)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    level = LEVELS[room_of(module_of(path))]
    for name in imports(path) | named(path):
        if name.partition(".")[0] == "fedseed":
            assert LEVELS[room_of(name)] <= level, f"{module_of(path)} imports {name}"


def test_no_circle() -> None:
    graph = {
        module: {name for name in imports(path) if name in MODULES} - {module}
        for module, path in MODULES.items()
    }
    order = list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError
    assert len(order) == len(MODULES)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_federation_imports_flower(path: Path) -> None:
    flower = {name for name in imports(path) if name.partition(".")[0] in ("flwr", "ray")}
    assert not flower or room_of(module_of(path)) == "federation"


def functions() -> list[tuple[str, int]]:
    """Every function of the package, the scripts and the benchmarks, and its lines."""
    sizes = []
    for folder in ("fedseed", "simulations", "benchmarks", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(parse(path)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    assert node.end_lineno is not None
                    name = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
                    sizes.append((name, node.end_lineno - node.lineno + 1))
    return sizes


def test_rooms_and_functions_are_small() -> None:
    sizes = functions()
    assert [one for one in sizes if one[1] > 50] == []
    assert statistics.median(size for _, size in sizes) < 15
    large = [path for path in modules() if len(path.read_text().splitlines()) > 300]
    assert large == []


def test_public_door() -> None:
    assert sorted(fedseed.__all__) == sorted(fedseed._PLACES)
    assert 15 <= len(fedseed.__all__) <= 25
    for name in fedseed.__all__:
        assert getattr(fedseed, name) is not None
    with pytest.raises(AttributeError):
        _ = fedseed.nothing


def test_import_is_light() -> None:
    heavy = "('torch', 'flwr', 'pandas', 'scipy')"
    code = f"import sys, fedseed.cli.federated; print([m for m in {heavy} if m in sys.modules])"
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
    assert shipped == RunConfig.parse({})
    assert app["config"] == shipped.to_run_config() | {"folder": ""}
