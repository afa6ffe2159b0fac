"""Whether all is as it was when an interrupted run began."""

from collections.abc import Mapping
from typing import Any

from fedseed.errors import OutputError
from fedseed.results.provenance import describe_seed, packages, refuse_other_kernels
from fedseed.runs.plan import Plan


def refuse_changes(plan: Plan, record: Mapping[str, Any]) -> None:
    """Refuse to put rounds of different inputs, libraries or machines into one record."""
    from fedseed.runs.federated import describe_public

    here, then = plan.compute, record["provenance"]["machine"]
    if (here.precision, here.device) != (then["precision"], then["device"]):
        raise OutputError(
            f"--resume: the run computed in {then['precision']} on {then['device']}, this machine "
            f"would go on in {here.precision} on {here.device}: start the run again"
        )
    refuse_other_kernels(then)
    if plan.given.model_dump() != record["config"]["given_recipe"]:
        what = "usual recipe" if plan.config.recipe is None else "recipe file"
        raise OutputError(
            f"--resume: the {what} has changed since the run began: give --recipe as it was"
        )
    if describe_seed(plan.seed) != record["provenance"]["seed"]:
        raise OutputError("--resume: the seed file has changed since the run began: restore it")
    known = record["provenance"]["dataset"].get("sha256")  # of sites nobody is told one
    if known not in (None, plan.federated.dataset.sha256):
        raise OutputError("--resume: the data have changed since the run began: restore them")
    public = describe_public(plan.federated).get("public_texts")
    if public != record["provenance"].get("public_texts"):
        raise OutputError("--resume: the public texts changed since the run began: restore them")
    if packages() != record["provenance"].get("packages"):
        raise OutputError("--resume: the packages changed since the run began: start it again")
