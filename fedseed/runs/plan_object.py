"""A plan as one JSON object, for other programs."""

from typing import Any

import numpy as np

from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset
from fedseed.runs.original import describe_dataset
from fedseed.runs.plan import Plan


def class_counts(dataset: Dataset, rows: Rows) -> list[int]:
    """Examples of each class among some rows."""
    return [int(n) for n in np.bincount(dataset.table.labels[rows], minlength=dataset.labels)]


def plan_object(plan: Plan) -> dict[str, Any]:
    """What a run would read, partition and send.

    Returns:
        ``dataset``: its description, with the examples of each class by split; ``model_notes``:
        what is taken of a published model; ``server_test``: the server's own table, where it has
        one; ``clients``: the
        examples of each partition, newcomers last; ``payload_estimate``: bytes of one client,
        as the protocol estimates them; ``config``: the resolved options; ``warnings``: what does
        not turn out as it was asked for, a line each.
    """
    dataset, own = plan.federated.dataset, plan.server_test
    splits = (("train", dataset.train), ("test", dataset.test))
    counts = {name: class_counts(dataset, rows) for name, rows in splits}
    tested = None if own is None else class_counts(own, own.test)
    return {
        "dataset": {**describe_dataset(dataset), "class_counts": counts},
        **({} if own is None else {"server_test": {"name": own.source, "class_counts": tested}}),
        "model_notes": list(plan.model_notes),
        "clients": [len(part) for part in plan.federated.parts],
        "payload_estimate": plan.server().payload_estimate(),
        "config": plan.config.for_record(),
        "warnings": plan.warnings,
    }
