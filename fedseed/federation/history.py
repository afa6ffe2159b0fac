"""What a run has behind it, from which a killed run goes on: transcript and finished rounds."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fedseed.config import RunConfig
from fedseed.errors import OutputError, WireError
from fedseed.federation.checkpoint import Checkpoint
from fedseed.federation.cohort import draw_cohort
from fedseed.protocols.base import ProtocolServer
from fedseed.transcript import TRAIN, Exchange, Transcript

_UNANSWERED = ("failed", "timeout")


def contributions_of(exchanges: Iterable[Exchange]) -> dict[int, bytes]:
    """What the clients of a round contributed, by partition: the payloads that came up."""
    return {e.partition_id: e.up for e in exchanges if e.status == "ok"}


def _is_cut(exchange: Exchange) -> bool:
    """Whether the contribution was too large to be kept."""
    return any(name == "up" for name, _, _ in exchange.left_out)


class History:
    """The transcript, and the records of the finished rounds with the server's state after them.

    All that is needed to go on is in these two. Whatever else a run writes is made of them.
    """

    def __init__(self, transcript: Transcript, path: Path | None = None) -> None:
        """Take up what an earlier attempt left, if anything.

        Args:
            transcript: every exchange so far; those that are of no use any more are dropped.
            path: the checkpoint's file; None to keep none.

        Raises:
            OutputError: transcript and checkpoint do not belong together, or are damaged.
        """
        checkpoint = Checkpoint() if path is None else Checkpoint.read(path)
        self.transcript = transcript
        self.rounds: list[dict[str, Any]] = checkpoint.rounds
        """Records of the finished rounds, as in record.json."""
        self._state = checkpoint.state
        self._path = path
        self._refuse_gaps()
        self._drop_useless()

    def _refuse_gaps(self) -> None:
        for record in self.rounds:
            group = str(record["round"])
            asked = {e.partition_id for e in self.transcript if e.trains and e.group == group}
            missing = {client["partition_id"] for client in record["clients"]} - asked
            if missing:
                raise OutputError(
                    f"the transcript lacks exchanges of round {record['round']}, which is "
                    "finished: start the run again with a new --out"
                )

    def _drop_useless(self) -> None:
        """Drop exchanges on which nothing has been built and nothing can be.

        Of rounds that are not finished: contributions too large to be kept, and clients that
        did not answer, who are asked once more. So are those that did not answer a test. A sum
        that is not finished begins anew, with new keys.
        """
        done = len(self.rounds)
        begun = {e.group for e in self.transcript if e.trains and e.phase != TRAIN}

        def is_lost(exchange: Exchange) -> bool:
            later = exchange.trains and int(exchange.group) > done
            return later and (_is_cut(exchange) or exchange.group in begun)

        # Test runs were those of a server that got further than its checkpoint.
        ahead = any(map(is_lost, self.transcript))
        self.transcript.drop(
            lambda e: (
                ahead or e.status in _UNANSWERED
                if not e.trains
                else is_lost(e) or (int(e.group) > done and e.status in _UNANSWERED)
            )
        )

    def restore(self, server: ProtocolServer, config: RunConfig) -> None:
        """Bring a new server to where it stood after the last finished round.

        Raises:
            OutputError: the checkpoint is damaged.
        """
        if self._state is not None:
            try:
                server.restore(self._state)
            except WireError as error:
                raise OutputError(f"{self._path} is damaged: start the run again") from error
            return
        for number in range(1, len(self.rounds) + 1):
            exchanges = self.transcript.of(TRAIN, str(number))
            if any(_is_cut(exchange) for exchange in exchanges.values()):
                raise OutputError(
                    "the contributions are too large for the transcript, and the protocol saves "
                    "no state in their place: start the run again"
                )
            server.configure(number, draw_cohort(config, number))
            server.aggregate(number, contributions_of(exchanges.values()))

    def add(self, record: Mapping[str, Any], server: ProtocolServer) -> None:
        """Note a finished round, with the server's state after it.

        Raises:
            OutputError: the checkpoint cannot be written.
        """
        self.rounds.append(dict(record))
        if self._path is not None:
            Checkpoint(self.rounds, server.checkpoint()).write(self._path)

    def close(self) -> None:
        """Remove the checkpoint: everything stands elsewhere now."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
