"""A client's states on disk, by the place in its run after which it had each: the last two."""

from pathlib import Path

from fedseed.files import make_folder, write_bytes

AFTER_ALL = 1 << 32
"""Where tests stand in a run's order: after all rounds."""


def place_of(message_type: str, group: str) -> int:
    """Where a message stands in a run's order.

    Args:
        message_type: Flower's, such as ``train`` or ``train.share``.
        group: the round's number, or what is tested.
    """
    return int(group) if message_type.partition(".")[0] == "train" else AFTER_ALL


def begins(message_type: str, secure_aggregation: bool) -> bool:
    """Whether a round or a test begins with a message; a sum has four."""
    stage = message_type.partition(".")[2]
    return stage == ("advertise" if secure_aggregation else "")


class KeptStates:
    """States in a folder of their own. A run may be taken up before its last round: so two stay."""

    def __init__(self, folder: Path) -> None:
        """Use a folder, which is made when the first state is kept."""
        self._folder = folder

    def file(self, place: int) -> Path:
        """Where the state after a place is."""
        return self._folder / f"{place}.bin"

    def latest(self, place: int, anew: bool) -> Path | None:
        """The state with which a message is met; None at the beginning.

        Args:
            place: of the message.
            anew: whether a round or test begins with it: then what an earlier attempt has left
                from there on is removed. Else one round asks several things.
        """
        known = self._places()
        if anew:
            for at in known:
                if at >= place:
                    self.file(at).unlink()
            known = [at for at in known if at < place]
        earlier = [at for at in known if at <= place]
        return self.file(max(earlier)) if earlier else None

    def keep(self, place: int, state: bytes) -> None:
        """Keep the state after a place, and of earlier ones the last.

        Raises:
            OutputError: the folder cannot be written.
        """
        make_folder(self._folder)
        earlier = sorted(at for at in self._places() if at < place)
        write_bytes(self.file(place), state)
        for at in earlier[:-1]:
            self.file(at).unlink()

    def _places(self) -> list[int]:
        return [int(path.stem) for path in self._folder.glob("*.bin")]
