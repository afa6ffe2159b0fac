"""One federated session: rounds of training, and tests, with the clients behind a grid.

Federated runs, the comparison, the privacy study and deployments all go through here; nobody
else makes a wire or looks for nodes. A round of any protocol, as pseudocode::

    cohort   = draw_cohort(round)                          # all clients, or --cohort of them
    payloads = server.configure(round, cohort)             # what travels down
    for client in cohort, at the same time:
        contribution = client.contribute(payload, shard)   # what travels up, or why nothing does
        transcript.add(payload, contribution)              # at once, for a run that is killed
    reports  = server.aggregate(round, contributions)      # how each contribution was taken
    after_round(clients, bytes, seconds)                   # tests, record.json
    history.add(record, server)                            # the checkpoint: the round is finished

:meth:`Session.run_round` is this round. With ``server.aggregate`` a mean of weights it is
federated averaging (McMahan et al. 2017, arXiv 1602.05629, algorithm 1).
"""

import functools
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from flwr.serverapp import Grid

from fedseed.config import RunConfig
from fedseed.errors import RunError, WireError
from fedseed.evaluation.metrics import ClassCounts
from fedseed.federation.agreement import Agreement
from fedseed.federation.cohort import draw_cohort, draw_lost
from fedseed.federation.counted_tests import from_words
from fedseed.federation.history import History, contributions_of
from fedseed.federation.local_grid import LocalGrid
from fedseed.federation.nodes import find_nodes
from fedseed.federation.round_record import (
    Observer,
    RoundResult,
    Unobserved,
    client_record,
    refuse_too_few,
)
from fedseed.federation.secure_aggregation.messages import encode_parts
from fedseed.federation.secure_aggregation.summed_round import (
    Ask,
    Summed,
    SummedRound,
    graph_of,
)
from fedseed.federation.wire import Wire
from fedseed.ledger import byte_sums
from fedseed.protocols.base import ProtocolServer, Report
from fedseed.randomness import generator
from fedseed.transcript import EVALUATE, TRAIN, Exchange

AfterRound = Callable[[RoundResult], None]
Describe = Callable[[bytes], str]
"""Says in a few words what a contribution holds."""


def _nothing(_: object) -> None:
    """Nothing is done after a round."""


def _no_words(_: bytes) -> str:
    return ""


class Session:
    """A server's dealings with the clients behind one grid."""

    def __init__(
        self,
        grid: Grid,
        partitions: int,
        history: History,
        observer: Observer | None = None,
        timeout: float | None = None,
        parallel: int | None = None,
        nodes: Mapping[int, int] | None = None,
    ) -> None:
        """Find the clients.

        Args:
            grid: the way to the clients, from any engine.
            partitions: number of clients, newcomers among them.
            history: gets every exchange and every finished round; what it has already is not
                done again.
            observer: gets every exchange and every round, for displays.
            timeout: seconds for one client, None for any; the local grid, which measures each
                client itself, has its own.
            parallel: clients that work at the same time; all of them when None.
            nodes: node ids by partition, where they are known; they are asked for when None.

        Raises:
            RunError: some client is on no node that answers.
        """
        self.history = history
        self.observer = observer or Unobserved()
        nodes = nodes or find_nodes(grid, partitions)
        limit = None if isinstance(grid, LocalGrid) else timeout
        self._wire = Wire(grid, nodes, history.transcript, limit, parallel or len(nodes))
        self.agreement = Agreement(grid, nodes)
        """For a deployment, before its first round."""

    def train(
        self,
        server: ProtocolServer,
        config: RunConfig,
        after_round: AfterRound = _nothing,
    ) -> None:
        """Run the rounds of training that the history does not have, after restoring the server.

        Args:
            server: the protocol's server side, new.
            config: the run's options: rounds, clients, cohort, losses.
            after_round: called with every round before it is finished, to test and to save.

        Raises:
            RunError: a round had fewer usable replies than ``--min-clients``. It is not
                finished: a resumed run asks those who did not answer once more.
            OutputError: the history is damaged or cannot be written.
        """
        self.history.restore(server, config)
        for number in range(len(self.history.rounds) + 1, config.rounds + 1):
            result = self.run_round(number, server, config)
            self.observer.round_done(result)
            after_round(result)
            refuse_too_few(result, config.min_clients)
            self.history.add(result.to_record(), server)

    def run_round(self, number: int, server: ProtocolServer, config: RunConfig) -> RoundResult:
        """One round: configure, ask, aggregate, report. Rounds count from 1."""
        started = time.monotonic()
        cohort = draw_cohort(config, number)
        payloads = server.configure(number, cohort)
        lost = draw_lost(config, number, cohort)
        if config.secure_aggregation:
            summed = self._sum(number, payloads, lost, server, config)
            exchanges, last = summed.exchanges, [summed.last_of(pid) for pid in sorted(payloads)]
            take = functools.partial(_take_sum, server, number, summed)
        else:
            last = exchanges = self.ask(number, payloads, lost, server.describe_contribution)
            take = functools.partial(server.aggregate, number, contributions_of(exchanges))
        waited = time.monotonic() - started
        reports = take()
        clients = [client_record(e, reports.get(e.partition_id)) for e in last]
        self.history.transcript.shrink()
        seconds = time.monotonic() - started
        return RoundResult(number, clients, byte_sums(exchanges), seconds, waited)

    def _sum(
        self, number: int, payloads: Mapping[int, bytes], lost: frozenset[int],
        server: ProtocolServer, config: RunConfig,
    ) -> Summed:  # fmt: skip
        """Ask clients for the sum of their contributions of one round."""
        threshold = config.resolved_threshold
        graph = graph_of(list(payloads), threshold, generator(config.run_seed, "ring", number))
        ask = self._asker(TRAIN, str(number))
        asker = SummedRound(ask, graph, server.sum_length(), threshold)
        return asker.run(payloads, lost)

    def _asker(self, main: str, group: str) -> Ask:
        """Sends the questions of one sum."""

        def ask(phase: str, asked: Mapping[int, bytes], lost: frozenset[int]) -> list[Exchange]:
            noted = self.observer.exchanged if phase == main else _nothing
            requests = {(group, pid): payload for pid, payload in asked.items()}
            return self._wire.ask(phase, requests, noted, lost)

        return ask

    def ask(
        self,
        number: int,
        payloads: Mapping[int, bytes],
        lost: frozenset[int] = frozenset(),
        describe: Describe = _no_words,
    ) -> list[Exchange]:
        """Ask clients for the contributions of one round.

        Args:
            number: the round, from 1.
            payloads: what each client gets, by partition.
            lost: clients whose reply is lost on purpose.
            describe: says what a contribution holds, for the observer.

        Returns:
            One exchange for each client, in order of partition.
        """

        def noted(exchange: Exchange) -> None:
            contents = describe(exchange.up) if exchange.status == "ok" else ""
            self.observer.exchanged(exchange, contents)

        requests = {(str(number), pid): payload for pid, payload in payloads.items()}
        return self._wire.ask(TRAIN, requests, noted, lost)

    def evaluate(self, products: Mapping[str, bytes], partitions: Iterable[int]) -> list[Exchange]:
        """Have clients make models of products and test them.

        Args:
            products: payloads by name; see :meth:`ProtocolServer.products`.
            partitions: who tests each of them.

        Returns:
            One exchange for each product and client, in this order.
        """
        testers = list(partitions)
        requests = {(name, pid): data for name, data in products.items() for pid in testers}
        return self._wire.ask(EVALUATE, requests, self.observer.exchanged)

    def evaluate_sum(
        self, group: str, products: Mapping[str, bytes], partitions: Sequence[int], classes: int,
        config: RunConfig,
    ) -> dict[str, ClassCounts]:  # fmt: skip
        """Have clients test products of which only the sums of their counts become known.

        Args:
            group: what the test is called.
            products: payloads by name; see :meth:`ProtocolServer.products`.
            partitions: who tests them.
            classes: number of classes.
            config: the run's options: threshold, and what draws the ring.

        Raises:
            RunError: too few clients are left, or the sums cannot be believed.
        """
        testers, names = list(partitions), list(products)
        threshold = min(config.resolved_threshold, len(testers))
        rng = generator(config.run_seed, f"ring of {group}")
        graph, ask = graph_of(testers, threshold, rng), self._asker(EVALUATE, group)
        request = encode_parts(dict(enumerate(products.values()))) + json.dumps(names).encode()
        length = 2 * classes * len(names)
        summed = SummedRound(ask, graph, length, threshold, EVALUATE).run(
            dict.fromkeys(testers, request)
        )
        totals = np.split(summed.total, len(names))
        try:
            return {name: from_words(part) for name, part in zip(names, totals, strict=True)}
        except WireError as error:
            raise RunError(f"the sum of the tests of '{group}' is of {error}") from error


def _take_sum(server: ProtocolServer, number: int, summed: Summed) -> dict[int, Report]:
    """Give the server a sum.

    Raises:
        RunError: it cannot be believed; whose fault that is cannot be known.
    """
    try:
        return server.aggregate_sum(number, summed.total, summed.of)
    except WireError as error:
        raise RunError(
            f"round {number}: the sum is {error}; one of {len(summed.of)} clients sent what cannot "
            "be, and secure aggregation hides which"
        ) from error
