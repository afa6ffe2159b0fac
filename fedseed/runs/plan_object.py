"""A plan as one JSON object, for other programs."""

from typing import Any

import numpy as np

from fedseed.runs.original import describe_dataset
from fedseed.runs.plan import Plan


def plan_object(plan: Plan) -> dict[str, Any]:
    """What a run would read, partition and send.

    Returns:
        ``dataset``: its description, with the examples of each class by split; ``model_notes``:
        what is taken of a published model; ``clients``: the
        examples of each partition, newcomers last; ``payload_estimate``: bytes of one client,
        as the protocol estimates them; ``config``: the resolved options; ``warnings``: what does
        not turn out as it was asked for, a line each.
    """
    dataset = plan.federated.dataset
    labels = dataset.table.labels
    counts = {
        name: np.bincount(labels[rows], minlength=dataset.labels).tolist()
        for name, rows in (("train", dataset.train), ("test", dataset.test))
    }
    return {
        "dataset": {**describe_dataset(dataset), "class_counts": counts},
        "model_notes": list(plan.model_notes),
        "clients": [len(part) for part in plan.federated.parts],
        "payload_estimate": plan.server().payload_estimate(),
        "config": plan.config.for_record(),
        "warnings": plan.warnings,
    }
