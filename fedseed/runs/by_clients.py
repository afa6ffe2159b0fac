"""Results of a run whose clients test on texts of their own: pooled, and by site where told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedseed.config import RunConfig
from fedseed.errors import DataError, RunError, WireError
from fedseed.evaluation.alone import ALONE
from fedseed.evaluation.metrics import Accuracy, ClassCounts, accuracy
from fedseed.federation.cohort import draw_cohort
from fedseed.federation.counted_tests import decode_counts
from fedseed.federation.session import Session
from fedseed.models.architecture import REGISTRY
from fedseed.protocols.base import ProtocolServer
from fedseed.runs.plan import Plan

_NOBODY = {
    "newcomers": None, "participants_mean": None, "participants_worst": None,
    "participants_best": None,
}  # fmt: skip
"""Roles of a common test split, which is not there."""


@dataclass(frozen=True)
class Tested:
    """One product's test runs."""

    total: ClassCounts
    of: Mapping[int, ClassCounts]
    """By partition; empty where the sum alone is known."""


class ClientTests:
    """Has clients test products on texts of their own."""

    def __init__(self, plan: Plan, session: Session, names: Mapping[int, str]) -> None:
        """Prepare to ask.

        Args:
            plan: the run.
            session: the way to the clients.
            names: what sites are called, by partition; those that are not there have numbers.
        """
        self._plan, self._session, self._names = plan, session, names
        self.failures: list[dict[str, Any]] = []
        """Clients whose test could not be had, and why."""

    def test(
        self, group: str, products: Mapping[str, bytes], testers: Sequence[int]
    ) -> dict[str, Tested]:
        """Have clients test some products.

        Args:
            group: what they are called together, under secure aggregation.
            products: payloads by name.
            testers: who tests them.

        Raises:
            RunError: nobody's test can be had.
        """
        config, classes = self._plan.config, self._plan.federated.dataset.labels
        if config.secure_aggregation:
            sums = self._session.evaluate_sum(group, products, testers, classes, config)
            return {name: Tested(total, {}) for name, total in sums.items()}
        counts: dict[str, dict[int, ClassCounts]] = {name: {} for name in products}
        for exchange in self._session.evaluate(products, testers):
            reason = exchange.reason or exchange.status
            if exchange.status == "ok":
                try:
                    run = decode_counts(exchange.up, classes)
                    counts[exchange.group][exchange.partition_id] = run
                    continue
                except WireError as error:
                    reason = str(error)
            self.failures.append(
                {"product": exchange.group, "partition_id": exchange.partition_id, "reason": reason}
            )
        return {name: self._tested(name, of) for name, of in counts.items()}

    def _tested(self, product: str, counts: Mapping[int, ClassCounts]) -> Tested:
        if not any(sum(one.examples) for one in counts.values()):
            own = [one for one in self.failures if one["product"] == product]
            why = "; ".join(f"client {one['partition_id']}: {one['reason']}" for one in own[:3])
            raise RunError(f"nobody could test '{product}': {why or 'no texts are held out'}")
        return Tested(_sum(list(counts.values()), self._plan.federated.dataset.labels), counts)

    def results(self, server: ProtocolServer) -> dict[str, Any]:
        """Test what was given, what was aggregated, and what each client has alone.

        Returns:
            The ``results`` of record.json.

        Raises:
            RunError: nobody's test can be had.
        """
        config, products = self._plan.config, server.products()
        newcomers = range(config.clients, config.clients + config.newcomers)
        testers = [*draw_cohort(config, config.rounds), *newcomers]
        alone = {ALONE: b""} if can_be_alone(config) else {}
        tested = self.test("products", {**products, **alone}, testers)
        results: dict[str, Any] = {
            name: {**server.summary(name), **_NOBODY, "pooled": pooled(tested[name]).to_record()}
            for name in products
        }
        if alone:
            results[ALONE] = pooled(tested[ALONE]).to_record()
        if not config.secure_aggregation:
            results["by_site"] = [self._of_site(pid, tested) for pid in sorted(testers)]
        return results | ({"failures": self.failures} if self.failures else {})

    def _of_site(self, pid: int, tested: Mapping[str, Tested]) -> dict[str, Any]:
        """One site's tests; a test on texts of one class, or of none, says nothing and is null."""
        site = {"partition_id": pid, "name": self._names.get(pid, f"site {pid}")}
        return site | {name: _told(one.of.get(pid)) for name, one in tested.items()}


def can_be_alone(config: RunConfig) -> bool:
    """Whether clients train a linear model each, to be compared with.

    The model's tokenizer has to be known. Under a privacy budget they do not: how a model does that
    was trained without noise is nothing that the budget covers.
    """
    return config.model in REGISTRY and config.privacy is None


def pooled(tested: Tested) -> Accuracy:
    """Accuracy on all clients' texts together.

    Raises:
        RunError: they are all of one class, on which accuracy means nothing.
    """
    try:
        return accuracy([tested.total])
    except DataError as error:
        raise RunError(f"{error}: the sites hold out texts of one class only") from error


def _told(counts: ClassCounts | None) -> dict[str, Any] | None:
    if counts is None or sum(count > 0 for count in counts.examples) < 2:
        return None
    return accuracy([counts]).to_record()


def _sum(counts: Sequence[ClassCounts], classes: int) -> ClassCounts:
    def total(name: str) -> tuple[int, ...]:
        return tuple(sum(getattr(one, name)[number] for one in counts) for number in range(classes))

    return ClassCounts(total("correct"), total("examples"))
