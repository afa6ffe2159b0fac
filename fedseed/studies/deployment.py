"""The ServerApp of a deployment: a federated study over Flower's own Grid."""

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fedseed.config import RunConfig
from fedseed.results.display import Lines
from fedseed.results.folder import RECORD, default_folder, locked, make_folder
from fedseed.studies.federated import FederatedStudy
from fedseed.studies.plan import make_plan


def make_server_app() -> ServerApp:
    """Make the ServerApp; its options come from Flower's ``run_config``."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        display = Lines(lambda line: print(line, flush=True))
        plan = make_plan(RunConfig.from_run_config(context.run_config), display.tokenising)
        folder = make_folder(default_folder("federated"))
        study = FederatedStudy(plan, folder, display)
        with locked(folder):
            study.serve(grid)
        print(f"record: {(folder / RECORD).resolve()}", flush=True)

    return app
