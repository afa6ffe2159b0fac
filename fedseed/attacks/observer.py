"""View: what one observer of a run sees. Attacks read a view and what is public, nothing else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from fedseed.transcript import TRAIN, Exchange, Transcript

OBSERVERS: Mapping[str, str] = {
    "server": "the honest-but-curious server: every message",
    "eavesdropper": "somebody on one client's link: that client's messages",
    "client": "another client: what the server sends down",
    "newcomer": "a newcomer or end user: the final result",
    "malicious-server": "a server that chooses seed and recipe, and reads the replies",
}
"""Who looks, and at what."""


@dataclass(frozen=True)
class View:
    """Payloads that one observer sees; there is nothing private in its type."""

    observer: str
    exchanges: tuple[Exchange, ...]
    """Messages of the training rounds, in order; without the replies for observers that do not see
    them."""
    result: bytes
    """What anybody downloads at the end; empty for an eavesdropper."""

    def rounds(self) -> list[int]:
        """Numbers of the rounds that are seen."""
        return sorted({int(exchange.group) for exchange in self.exchanges})

    def replies(self, round_number: int) -> dict[int, bytes]:
        """What came up in a round, by partition."""
        return {e.partition_id: e.up for e in self._of(round_number) if e.up}

    def downloads(self) -> list[bytes]:
        """What went down, once for each round that is seen."""
        return [next(self._of(number)).down for number in self.rounds()]

    def payload_bytes(self) -> int:
        """Bytes that the observer reads."""
        sizes = (sum(exchange.payload_bytes.values()) for exchange in self.exchanges)
        return sum(sizes) + len(self.result)

    def _of(self, round_number: int) -> Iterator[Exchange]:
        return (e for e in self.exchanges if e.phase == TRAIN and int(e.group) == round_number)


def view_of(transcript: Transcript, observer: str, result: bytes, link: int = 0) -> View:
    """What an observer sees of a run.

    Args:
        transcript: everything that crossed the wire, whole.
        observer: one of :data:`OBSERVERS`.
        result: what the server offers after the last round.
        link: the client whose link an eavesdropper listens on, and which another client is.

    Raises:
        ValueError: no such observer.
    """
    seen = [exchange for exchange in transcript if exchange.trains]
    if observer in ("server", "malicious-server"):
        return View(observer, tuple(seen), result)
    of_link = tuple(exchange for exchange in seen if exchange.partition_id == link)
    if observer == "eavesdropper":
        return View(observer, of_link, b"")
    if observer == "client":
        downloads = (replace(exchange, up=b"", up_message_bytes=0) for exchange in of_link)
        return View(observer, tuple(downloads), result)
    if observer == "newcomer":
        return View(observer, (), result)
    raise ValueError(f"no observer '{observer}'")
