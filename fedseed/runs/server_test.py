"""What a run ends with, tested on a labelled table of the server's own."""

from typing import Any

from fedseed.evaluation.metrics import accuracy, count_correct
from fedseed.protocols.base import ProtocolServer
from fedseed.runs.plan import Plan
from fedseed.seeds.assemble import grow
from fedseed.training import predict


def tested_by_server(plan: Plan, server: ProtocolServer) -> dict[str, Any]:
    """Test the model, or the seed that the rounds made, untrained.

    Args:
        plan: the run.
        server: after the last round.

    Returns:
        ``server_test`` of the ``results`` of record.json; nothing where the server has no table.
    """
    own = plan.server_test
    if own is None:
        return {}
    model, what = server.model(), "model"
    if model is None:  # the recipe's stage began from this
        model, what = grow(server.seed() or plan.encoded_seed), "seed"
    likelihoods = predict(model, own.table, own.test, plan.max_length, plan.compute)
    tested = accuracy([count_correct(likelihoods, own.table.labels[own.test])])
    return {"server_test": {"name": own.source, "of": what, **tested.to_record()}}
