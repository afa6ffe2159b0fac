"""The server's main function in a deployment: a federated study over Flower's own Grid."""

from collections.abc import Mapping

from fedseed.config import Cell, RunConfig
from fedseed.federation.engines import Grid
from fedseed.results.display import Lines
from fedseed.results.folder import RECORD, default_folder, locked, make_folder
from fedseed.studies.federated import FederatedStudy
from fedseed.studies.plan import make_plan


def serve(grid: Grid, run_config: Mapping[str, Cell]) -> None:
    """Run a federated study with the options of Flower's ``run_config``.

    Everything is written below ``results/scratch`` of the server's current folder.
    """
    display = Lines(lambda line: print(line, flush=True))
    plan = make_plan(RunConfig.from_run_config(run_config), display.tokenising)
    folder = make_folder(default_folder("federated"))
    with locked(folder):
        FederatedStudy(plan, folder, display).serve(grid)
    print(f"record: {(folder / RECORD).resolve()}", flush=True)
