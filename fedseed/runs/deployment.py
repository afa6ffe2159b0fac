"""The server's main function in a deployment: a federated study over Flower's own Grid."""

from collections.abc import Mapping

from fedseed.config import Cell, RunConfig
from fedseed.data.options import DEFAULT_LENGTH
from fedseed.errors import ConfigError
from fedseed.federation.engines import Grid
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
    display = Lines(lambda line: print(line, flush=True))
    config = RunConfig.from_run_config(run_config)
    plan = make_plan(config, display.tokenising)
    _same_for_clients(config, plan)
    folder = make_folder(default_folder("federated"))
    with locked(folder):
        RecordedRun(plan, folder, display, "deployment").serve(grid)
    print(f"record: {(folder / RECORD).resolve()}", flush=True)


def _same_for_clients(config: RunConfig, plan: Plan) -> None:
    """Refuse what only the server can resolve: clients see the options, not its files."""
    if (config.max_length or DEFAULT_LENGTH) != plan.max_length:
        raise ConfigError(
            f"the recipe keeps {plan.max_length} tokens, clients of a deployment cannot know: "
            f"add max-length={plan.max_length} to --run-config"
        )
    if config.model != plan.seed.model:
        raise ConfigError(
            f"the seed is for {plan.seed.model}, clients of a deployment cannot know: add "
            f"model='{plan.seed.model}' to --run-config"
        )
