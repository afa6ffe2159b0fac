"""The server's main function in a deployment: a federated study over Flower's own Grid."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from fedseed.config import FOLDER, Cell, RunConfig
from fedseed.data.public_texts import is_named
from fedseed.data.site_options import SITES
from fedseed.data.sites.federated import server_site
from fedseed.data.sources import CORPORA
from fedseed.errors import ConfigError, OutputError, WireError
from fedseed.federation.agreement import Agreement
from fedseed.federation.engines import Grid
from fedseed.federation.node_state import refuse_no_study
from fedseed.federation.nodes import find_nodes
from fedseed.files import write_text
from fedseed.machine import replace_letters
from fedseed.results.display import Lines
from fedseed.results.folder import RECORD, default_folder
from fedseed.runs.federated import Deployment, RecordedRun
from fedseed.runs.plan import Plan, make_plan
from fedseed.runs.resume import run_folder
from fedseed.runs.unchanged import refuse_changes

KIND = "federated"
STUDY = "study"


def serve(grid: Grid, run_config: Mapping[str, Cell]) -> None:
    """Run a federated study with the options of Flower's ``run_config``, or go on with it.

    Everything is written into the folder that ``run_config`` names as ``folder``, in which a study
    that was interrupted is taken up; without it below ``results/scratch`` of the server's current
    folder.

    Raises:
        FedseedError: the options cannot be used, a node does not take part, or too few clients
            replied.
    """
    replace_letters()
    display = Lines(lambda line: print(line, flush=True))
    options = dict(run_config)
    named = str(options.pop(FOLDER, ""))
    config = RunConfig.from_run_config(options)
    _refuse_relative_paths(config, named)
    folder = Path(named).expanduser() if named else default_folder(KIND)
    with run_folder(folder, KIND, config.values(), RunConfig, resume=bool(named)) as begun:
        nodes = None
        server_site(config)  # refused before anybody is asked
        if config.of_sites and config.classes is None:
            nodes = find_nodes(grid, config.clients + config.newcomers)
            config = config.replace(classes=Agreement(grid, nodes).classes())
        plan = make_plan(config, display.tokenising)
        _same_for_clients(config, plan)
        if begun.record is not None:
            refuse_changes(plan, begun.record)
        deployment = Deployment(_study_in(folder), nodes)
        RecordedRun(plan, folder, display, "deployment", deployment).serve(grid)
    print(f"record: {(folder / RECORD).resolve()}", flush=True)


def _study_in(folder: Path) -> str:
    """The name of the study in a folder, drawn when it begins: by it nodes know it again.

    Raises:
        OutputError: the file of its name is damaged, or cannot be written.
    """
    path = folder / STUDY
    if not path.exists():
        write_text(path, secrets.token_hex(16))
    try:
        return refuse_no_study(path.read_text(encoding="ascii").strip())
    except (OSError, UnicodeDecodeError, WireError) as error:
        raise OutputError(f"{path} is damaged: begin in another folder") from error


def _refuse_relative_paths(config: RunConfig, folder: str) -> None:
    """Refuse paths that each machine would look for in a folder of its own.

    Raises:
        ConfigError: one is relative; which folder it was meant to begin in is not known here.
    """
    data, public, model = config.data, config.public_texts, config.model
    # A model's name may have one / on the hub; as a folder's it is told by what is there.
    is_folder = model.startswith(".") or model.count("/") > 1 or os.path.isdir(model)
    paths = {
        "data": None if data in CORPORA or data.partition(":")[0] in ("hub", SITES) else data,
        "folder": folder or None,
        "model": model if is_folder else None,
        "recipe": config.recipe,
        "seed-file": config.seed_file,
        "server-test": config.server_test,
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
