"""What the test runs of a federated run come down to: its ``results``."""

import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import nn

from fedseed.data.splits import Rows
from fedseed.errors import RunError, WireError
from fedseed.evaluation.metrics import Accuracy, ClassCounts, accuracy, count_correct
from fedseed.evaluation.retention import chance_corrected, plain
from fedseed.federation.counted_tests import decode_counts
from fedseed.protocols.base import ProtocolServer
from fedseed.results.display import Display
from fedseed.runs.baselines import known_or_measured_baselines, linear_of_equal_bytes
from fedseed.runs.original import Original, find_original
from fedseed.runs.plan import Plan
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import decode
from fedseed.training import predict
from fedseed.training.lanes import LANES
from fedseed.training.precision_and_device import Compute
from fedseed.transcript import Exchange

_QUICK_STEPS = 10
Counts = dict[str, dict[int, ClassCounts]]
"""Test runs by product and partition."""


def judge(
    plan: Plan,
    exchanges: Sequence[Exchange],
    summaries: Mapping[str, Mapping[str, Any]],
    display: Display,
    seed: bytes | None = None,
) -> dict[str, Any]:
    """Return the results of a federated run, in record.json's form.

    Args:
        plan: the run.
        exchanges: the test runs as they came over the wire.
        summaries: what each product is.
        display: shows how far the original's training is.
        seed: the encoded seed that the rounds made, if they made one.

    Raises:
        RunError: no newcomer's or no participant's model could be tested.
    """
    counts, failures = _believable(plan, exchanges, list(summaries))
    results: dict[str, Any] = {
        name: {**summary, **_by_role(plan, counts[name])} for name, summary in summaries.items()
    }
    results |= _untrained(plan, seed)
    dataset = plan.federated.dataset
    original = _original(plan, display)
    reference = original.accuracy(dataset, plan.federated.test_rows())
    results["original"] = {"name": original.name, **reference.to_record()}
    results["retention"] = _retention(plan, results, original)
    display.phase("measuring the baselines, which need no network")
    tests = plan.federated.test_rows()
    results["baselines"] = known_or_measured_baselines(plan.config, dataset, tests, plan.max_length)
    if seed is not None:
        linear = linear_of_equal_bytes(plan.config, dataset, tests, plan.max_length, len(seed))
        results["linear_of_equal_bytes"] = linear
    if failures:
        results["failures"] = failures
    return results


def _original(plan: Plan, display: Display) -> Original:
    """The reference; of a published body, which learns slowly, a few steps under ``--quick``."""
    model, dataset = plan.seed.model, plan.federated.dataset
    precision, few = plan.compute.precision, None
    if plan.config.quick and plan.config.starts_from_a_body:
        few = _QUICK_STEPS
        tests = np.union1d(plan.federated.test_rows(), plan.federated.test_rows(0))
        dataset = dataclasses.replace(dataset, test=tests)
    return find_original(dataset, model, plan.max_length, display.original, few, precision)


def _retention(plan: Plan, results: Mapping[str, Any], original: Original) -> dict[str, Any]:
    """Accuracies in shares of the original's, each on the rows that both were tested on."""
    dataset = plan.federated.dataset
    reference = original.accuracy(dataset, plan.federated.test_rows())
    untrained = results["zero_shot"]["value"]
    # Newcomers were tested on what the original was; participants on a subset of it.
    trained, same_rows = results["aggregated"]["newcomers"], reference
    if trained is None:
        trained = results["aggregated"]["participants_mean"]
        same_rows = original.accuracy(dataset, plan.federated.test_rows(0))
    return {
        "plain": {
            "zero_shot": plain(untrained, reference.value),
            "aggregated": plain(trained["value"], same_rows.value),
        },
        "chance_corrected": {
            "zero_shot": _corrected(untrained, reference),
            "aggregated": _corrected(trained["value"], same_rows),
        },
    }


def _untrained(plan: Plan, seed: bytes | None) -> dict[str, Any]:
    """What the run's seed and the one that the rounds made are right on, with no step taken."""
    if seed is None:
        return {"zero_shot": zero_shot(plan).to_record()}
    with ThreadPoolExecutor(2) as pool:  # the workers are idle by now
        random, made = pool.submit(zero_shot, plan), pool.submit(_test, plan, grow(seed))
        about = {"kind": decode(seed).kind, "bytes": len(seed)}
        return {
            "zero_shot": random.result().to_record(),
            "aggregated_seed": about | made.result().to_record(),
        }


def zero_shot(plan: Plan) -> Accuracy:
    """Accuracy of the assembled seed before any training, on the common test split."""
    return _test(plan, grow(plan.encoded_seed))


def tested_model(plan: Plan, server: ProtocolServer, round_number: int) -> Accuracy | None:
    """Accuracy of the server's model when it is to be tested after this round."""
    every = plan.config.test_every
    model = server.model() if every and round_number % every == 0 else None
    if model is None:
        return None
    return _test(plan, model, LANES)  # the workers wait


def _test(plan: Plan, model: nn.Module, lanes: int = 1) -> Accuracy:
    torch.set_num_threads(1)
    compute = dataclasses.replace(plan.compute, lanes=lanes)
    return accuracy([correct_on(plan, model, plan.federated.test_rows(), compute)])


def correct_on(
    plan: Plan, model: nn.Module, rows: Rows, compute: Compute | None = None
) -> ClassCounts:
    """A model's test run on some of the test rows, computed as the plan says when None."""
    table = plan.federated.dataset.table
    likelihoods = predict(model, table, rows, plan.max_length, compute or plan.compute)
    return count_correct(likelihoods, table.labels[rows])


def _corrected(value: float, reference: Accuracy) -> float | None:
    return chance_corrected(value, reference.value, reference.majority_baseline)


def _believable(
    plan: Plan, exchanges: Sequence[Exchange], products: Sequence[str]
) -> tuple[Counts, list[dict[str, Any]]]:
    """Believable test runs, and why the others are missing."""
    counts: Counts = {name: {} for name in products}
    failures: list[dict[str, Any]] = []
    for exchange in exchanges:
        expected = plan.federated.test_counts(exchange.partition_id)
        reason = exchange.reason or exchange.status
        if exchange.status == "ok":
            try:
                test = decode_counts(exchange.up, len(expected), expected)
                counts[exchange.group][exchange.partition_id] = test
                continue
            except WireError as error:
                reason = str(error)
        failures.append(
            {"product": exchange.group, "partition_id": exchange.partition_id, "reason": reason}
        )
    return counts, failures


def _by_role(plan: Plan, counts: Mapping[int, ClassCounts]) -> dict[str, Any]:
    clients = plan.config.clients
    newcomers = [test for pid, test in counts.items() if pid >= clients]
    participants = [test for pid, test in counts.items() if pid < clients]
    if not participants or (plan.config.newcomers and not newcomers):
        raise RunError("no client's model could be tested: the reasons are in transcript.jsonl")
    worst = min(participants, key=lambda test: test.accuracy)
    best = max(participants, key=lambda test: test.accuracy)
    return {
        "newcomers": accuracy(newcomers).to_record() if newcomers else None,
        "participants_mean": accuracy(participants).to_record(),
        "participants_worst": accuracy([worst]).to_record(),
        "participants_best": accuracy([best]).to_record(),
    }
