"""A plan as one JSON object, for other programs."""

from typing import Any

from fedseed.data.partition import label_counts
from fedseed.runs.original import describe_dataset
from fedseed.runs.plan import Plan


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
    splits = [dataset.train, dataset.test]
    train, test = label_counts(dataset.table.labels, splits, dataset.labels)
    counts = {"train": train, "test": test}
    tested = [] if own is None else label_counts(own.table.labels, [own.test], own.labels)[0]
    return {
        "dataset": {**describe_dataset(dataset), "class_counts": counts},
        **({} if own is None else {"server_test": {"name": own.source, "class_counts": tested}}),
        "model_notes": list(plan.model_notes),
        "clients": [len(part) for part in plan.federated.parts],
        "payload_estimate": plan.server().payload_estimate(),
        "config": plan.config.for_record(),
        "warnings": plan.warnings,
    }
