"""The server's main function in a deployment: a federated study over Flower's own Grid."""

import os
from collections.abc import Mapping

from fedseed.config import Cell, RunConfig
from fedseed.data.public_texts import is_named
from fedseed.data.sources import CORPORA
from fedseed.errors import ConfigError
from fedseed.federation.engines import Grid
from fedseed.machine import replace_letters
from fedseed.results.display import Lines
from fedseed.results.folder import RECORD, default_folder, locked, make_folder
from fedseed.runs.federated import RecordedRun
from fedseed.runs.plan import Plan, make_plan


def serve(grid: Grid, run_config: Mapping[str, Cell]) -> None:
    """Run a federated study with the options of Flower's ``run_config``.

    Everything is written below ``results/scratch`` of the server's current folder.

    Raises:
        FedseedError: the options cannot be used, or too few clients replied.
    """
    replace_letters()
    display = Lines(lambda line: print(line, flush=True))
    config = RunConfig.from_run_config(run_config)
    _refuse_relative_paths(config)
    plan = make_plan(config, display.tokenising)
    _same_for_clients(config, plan)
    folder = make_folder(default_folder("federated"))
    with locked(folder):
        RecordedRun(plan, folder, display, "deployment").serve(grid)
    print(f"record: {(folder / RECORD).resolve()}", flush=True)


def _refuse_relative_paths(config: RunConfig) -> None:
    """Refuse paths that each machine would look for in a folder of its own.

    Raises:
        ConfigError: one is relative; which folder it was meant to begin in is not known here.
    """
    data, public, model = config.data, config.public_texts, config.model
    # A model's name may have one / on the hub; as a folder's it is told by what is there.
    is_folder = model.startswith(".") or model.count("/") > 1 or os.path.isdir(model)
    paths = {
        "data": None if data in CORPORA or data.partition(":")[0] == "hub" else data,
        "model": model if is_folder else None,
        "recipe": config.recipe,
        "seed-file": config.seed_file,
        "public": None if public is None or is_named(public) else public,
    }
    for name, path in paths.items():
        if path is not None and not os.path.isabs(os.path.expanduser(path)):
            raise ConfigError(
                f"{name}='{path}' is relative, and server and clients begin in folders of their "
                "own: give the whole path in --run-config, the same on every machine"
            )


def _same_for_clients(config: RunConfig, plan: Plan) -> None:
    """Refuse what only the server can resolve: clients see the options, not its files."""
    if config.length != plan.max_length:
        raise ConfigError(
            f"the recipe keeps {plan.max_length} tokens, clients of a deployment cannot know: "
            f"add max-length={plan.max_length} to --run-config"
        )
    if config.model != plan.seed.model:
        raise ConfigError(
            f"the seed is for {plan.seed.model}, clients of a deployment cannot know: add "
            f"model='{plan.seed.model}' to --run-config"
        )
