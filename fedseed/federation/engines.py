"""Engines: the same ServerApp and ClientApp, run in this process or through ray."""

import logging
import os
import tempfile
from pathlib import Path

from flwr.app import Context, RecordDict
from flwr.serverapp import Grid as Grid

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import FederatedDataset
from fedseed.errors import ConfigError
from fedseed.federation.client import compute_of
from fedseed.federation.client_app import client_app
from fedseed.federation.executors import Executor, InProcess, Stacked
from fedseed.federation.local_grid import LocalGrid
from fedseed.federation.server_app import Main, server_app
from fedseed.federation.worker_pool import WorkerPool
from fedseed.federation.workers import count_cores
from fedseed.machine import private_folder, short_temporary_folder
from fedseed.training import StackingTrainer

_GROUP = 1000
"""Clients that train at the same time on a GPU, at most; memory decides on smaller stacks."""
_RAYS_LONGEST = 20
"""Bytes of a folder's path below which the names of ray's sockets fit the 107 of Linux."""


def count_workers(config: RunConfig) -> int:
    """Worker processes of a run: as asked, or one for each core the process may use."""
    return min(count_cores(config.workers), max(config.cohort_size, config.newcomers))


def run_local(
    config: RunConfig,
    main: Main,
    state_folder: Path | None,
    federated: FederatedDataset | None = None,
) -> None:
    """Run in this process, or in worker processes when there is more than one worker.

    Args:
        config: the run's configuration.
        main: the server's main function.
        state_folder: keeps the clients' contexts for a resumed run.
        federated: the clients' shards, for runs in this process; None to split the data by the
            configuration.
    """
    logging.getLogger("flwr").setLevel(logging.ERROR)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    workers = count_workers(config)
    compute = compute_of(config)
    executor: Executor
    if compute.device != "cpu":
        trainer = StackingTrainer(compute, workers=workers)
        executor = Stacked(client_app(config, trainer), trainer, _GROUP)
    elif workers == 1 and config.client_timeout is None:
        executor = InProcess(client_app(config, federated=federated))
    else:
        executor = WorkerPool(config, workers)
    run_config = config.to_run_config()
    try:
        grid = LocalGrid(executor, config.clients + config.newcomers, run_config, state_folder)
        context = Context(
            run_id=grid.run.run_id, node_id=1, node_config={}, state=RecordDict(),
            run_config=run_config,
        )  # fmt: skip
        server_app(main)(grid, context)
    finally:
        executor.close()


def run_ray(config: RunConfig, main: Main) -> None:
    """Run through Flower's simulation on ray, one CPU for each actor.

    Raises:
        ConfigError: ray is not installed.
    """
    try:
        import ray  # noqa: F401  # only to say clearly that it is missing
    except ImportError as error:
        raise ConfigError(
            "--engine ray needs ray: pip install 'fedseed[ray]', or use --engine local"
        ) from error
    from flwr.simulation import run_simulation

    _shorten_rays_folder()
    logging.getLogger("flwr").setLevel(logging.ERROR)
    run_simulation(
        server_app=server_app(main),
        client_app=client_app(config),
        num_supernodes=config.clients + config.newcomers,
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            "init_args": {"num_cpus": count_workers(config), "log_to_driver": False},
        },
    )


def _shorten_rays_folder() -> None:
    """Give ray a folder for its sockets where the temporary one has too long a path for them."""
    base = short_temporary_folder(_RAYS_LONGEST)
    if "RAY_TMPDIR" not in os.environ and base not in (None, Path(tempfile.gettempdir())):
        os.environ["RAY_TMPDIR"] = str(private_folder(base))
