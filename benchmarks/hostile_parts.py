"""What both hostile sides share: bytes and numbers gone wrong, and the count of what came of it."""

import hashlib
import resource
import signal
import struct
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from fedseed.errors import FedseedError
from fedseed.recipe import RECIPE_BYTES, Recipe

SECONDS = 5.0
"""Longest that one request or answer may take of a processor, whatever else the machine does."""
_PATIENCE = 120.0
"""The same by the clock, for whoever only waits."""
MEMORY = 1 << 30
"""Most bytes above those at the start."""
MARKERS = ("quixotine", "brambleworth", "zanzimere", "obelyskan")
"""Words of private texts: none of them may stand in an answer."""
_EXTREMES: dict[str, tuple[Any, ...]] = {
    "<H": (0, 1, 2, 255, 256, 32767, 65535),
    "<I": (0, 1, 2, 255, 65535, 65536, 100_000, 2**24, 2**31 - 1, 2**31, 2**32 - 1),
    "<Q": (0, 1, 2**32, 2**63, 2**64 - 1),
    "<f": (0.0, -0.0, float("nan"), float("inf"), -float("inf"), 1e38, 1e4, -1e4, 1e-45),
    "<d": (0.0, float("nan"), float("inf"), -float("inf"), 1e308, 5e-324, 1e4, -1.0),
    "B": (0, 1, 2, 3, 7, 127, 128, 254, 255),
}
_CHECKSUMS = {1: 32, 2: 8}
"""Of the versions of the .fseed format, in bytes."""


class TooLong(BaseException):
    """Raised in the middle of what takes too long; no library's handler takes it for its own."""


def mutated(data: bytes, rng: np.random.Generator, others: Sequence[bytes] = ()) -> bytes:
    """The bytes with one to three changes, of which most are near the beginning."""
    for _ in range(int(rng.integers(1, 4))):
        data = _CHANGES[int(rng.integers(len(_CHANGES)))](data, rng, others)
    return data


def _place(data: bytes, rng: np.random.Generator) -> int:
    """A place in the bytes: the first hundred count as much as all others."""
    most = len(data) if rng.random() < 0.5 else min(len(data), 100)
    return int(rng.integers(max(1, most)))


def _flip(data: bytes, rng: np.random.Generator, _: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for __ in range(int(rng.integers(1, 9)) if changed else 0):
        changed[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _number(data: bytes, rng: np.random.Generator, _: Sequence[bytes]) -> bytes:
    form = str(rng.choice(list(_EXTREMES)))
    values = _EXTREMES[form]
    written = struct.pack(form, values[int(rng.integers(len(values)))])
    at = _place(data, rng)
    return (data[:at] + written + data[at + len(written) :])[: max(len(data), len(written))]


def _cut(data: bytes, rng: np.random.Generator, _: Sequence[bytes]) -> bytes:
    return data[: _place(data, rng)]


def _extend(data: bytes, rng: np.random.Generator, _: Sequence[bytes]) -> bytes:
    return data + rng.bytes(int(rng.choice([1, 4, 8, 59, 1000])))


def _remove(data: bytes, rng: np.random.Generator, _: Sequence[bytes]) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + int(rng.integers(1, 64)) :]


def _insert(data: bytes, rng: np.random.Generator, _: Sequence[bytes]) -> bytes:
    at = _place(data, rng)
    return data[:at] + rng.bytes(int(rng.integers(1, 64))) + data[at:]


def _splice(data: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    if not others:
        return data[::-1]
    other = others[int(rng.integers(len(others)))]
    at = _place(data, rng)
    return other if rng.random() < 0.5 else data[:at] + other[at:]


def _recipe(data: bytes, rng: np.random.Generator, _: Sequence[bytes]) -> bytes:
    """Another recipe that can be read, in place of the first."""
    head = Recipe().encode()[:1]
    at = next((n for n in range(min(len(data), 40_000)) if _is_recipe(data, n, head)), None)
    if at is None:
        return data
    values: dict[str, list[Any]] = {
        "steps": [0, 1, 200, 201, 10_000_000], "batch_size": [1, 2, 300, 65_535],
        "max_length": [4, 8, 16, 65_535], "learning_rate": [1e-12, 1e-3, 10.0],
        "embedding_multiplier": [1e-6, 10.0, 1000.0], "schedule": ["linear", "cosine"],
        "dropout": [0.0, 0.999999], "optimiser": ["adamw", "adam", "sgd"],
        "warmup": [0.0, 0.999999], "label_smoothing": [0.0, 0.999999],
    }  # fmt: skip
    names = rng.choice(list(values), 3, replace=False).tolist()
    changes = {n: values[n][int(rng.integers(len(values[n])))] for n in names}
    made = Recipe.decode(data[at : at + RECIPE_BYTES]).replace(**changes).encode()
    return data[:at] + made + data[at + RECIPE_BYTES :]


def _is_recipe(data: bytes, at: int, head: bytes) -> bool:
    part = data[at : at + RECIPE_BYTES]
    if len(part) < RECIPE_BYTES or part[:1] != head or part[1] > 2 or part[2] > 2:
        return False
    try:
        Recipe.decode(part)
    except FedseedError:
        return False
    return True


def _resealed(data: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """A change within a seed whose checksum then fits."""
    at = data.find(b"FSED")
    length = int.from_bytes(data[at - 4 : at], "little") if at >= 4 else 0
    seed = data[at : at + length]
    if length < 20 or len(seed) < length or (size := _CHECKSUMS.get(seed[4])) is None:
        return data
    body = seed[:-size]
    change = (_flip, _number, _number, _splice)[int(rng.integers(4))]
    body = body[:4] + change(body[4:], rng, others)[: 1 << 20]
    made = body + hashlib.sha256(body).digest()[:size]
    return data[: at - 4] + len(made).to_bytes(4, "little") + made + data[at + length :]


_CHANGES: tuple[Callable[[bytes, np.random.Generator, Sequence[bytes]], bytes], ...] = (
    _flip, _number, _number, _number, _cut, _extend, _remove, _insert, _splice, _recipe, _recipe,
    _resealed, _resealed,
)  # fmt: skip


@dataclass
class Outcomes:
    """What came of many trials."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By kind of trial, and what came of it."""
    findings: dict[str, tuple[int, str]] = field(default_factory=dict)
    """What should not be: how often, and the first time in detail."""
    slowest: tuple[float, str] = (0.0, "")
    peak: int = 0
    """Bytes of memory above those at the start."""

    def find(self, what: str, detail: str) -> None:
        """Note a finding."""
        count, first = self.findings.get(what, (0, detail))
        self.findings[what] = count + 1, first

    def merge(self, other: "Outcomes") -> None:
        """Add another process' trials."""
        self.counts.update(other.counts)
        for what, (count, detail) in other.findings.items():
            before, first = self.findings.get(what, (0, detail))
            self.findings[what] = before + count, first
        self.slowest = max(self.slowest, other.slowest)
        self.peak = max(self.peak, other.peak)

    def show(self, console: Console, what: str) -> None:
        """Print tables of all."""
        outcomes = sorted({outcome for _, outcome in self.counts})
        table = Table("kind", *outcomes, "all", title=f"{self.counts.total():,} {what}")
        for kind in sorted({kind for kind, _ in self.counts}):
            numbers = [self.counts[kind, outcome] for outcome in outcomes]
            table.add_row(kind, *(f"{n:,}" for n in [*numbers, sum(numbers)]))
        console.print(table)
        seconds, name = self.slowest
        console.print(f"slowest {seconds:.2f} s ({name}), {self.peak / 2**20:,.0f} MiB of memory")
        console.print(f"{len(self.findings)} finding(s)", highlight=False)
        for number, (what_is, (count, detail)) in enumerate(sorted(self.findings.items()), 1):
            console.print(f"{number}. {what_is} ({count:,} times)\n{detail}", markup=False)


class Watch:
    """Times one trial after the other, and notes what should not come of one."""

    def __init__(self, outcomes: Outcomes) -> None:
        """Begin; memory counts from here."""
        with suppress(OSError):  # the peak so far is no request's
            Path("/proc/self/clear_refs").write_text("5")
        self.outcomes, self._start = outcomes, _peak()
        self._alarmed = MEMORY
        for number in (signal.SIGALRM, signal.SIGPROF):
            signal.signal(number, _raise)

    def trial(self, kind: str, detail: Callable[[], str], work: Callable[[], str]) -> None:
        """Do one thing; ``work`` returns what came of it, or raises a FedseedError."""
        started = time.process_time()
        try:
            with _limited():
                outcome = work()
        except FedseedError as error:
            outcome = type(error).__name__
            self._look_at(str(error), kind, detail)
        except TooLong as error:
            outcome = "too long"
            self.outcomes.find(f"{kind}: beyond {SECONDS:g} s at {where(error)}", detail())
        except Exception as error:  # everything else is what is looked for
            outcome = "other error"
            lines = "".join(traceback.format_exception(error)[-4:])[-1500:]
            name = type(error).__name__
            self.outcomes.find(f"{kind}: {name} at {where(error)}", f"{detail()}\n{lines}")
        self._note(kind, outcome, time.process_time() - started, detail)

    def _look_at(self, message: str, kind: str, detail: Callable[[], str]) -> None:
        if any(marker in message.lower() for marker in MARKERS):
            self.outcomes.find(f"{kind}: private text in a message", f"{detail()}\n{message[:300]}")
        if len(message.splitlines()) != 1:
            self.outcomes.find(f"{kind}: a message of several lines or none", repr(message[:300]))

    def _note(self, kind: str, outcome: str, seconds: float, detail: Callable[[], str]) -> None:
        all_of_it = self.outcomes
        all_of_it.counts[kind, outcome] += 1
        if seconds > all_of_it.slowest[0]:
            all_of_it.slowest = seconds, f"{kind}, {outcome}"
        if seconds > SECONDS and outcome != "too long":
            all_of_it.find(f"{kind}: {outcome} after more than {SECONDS:g} s", detail())
        all_of_it.peak = _peak() - self._start
        if all_of_it.peak > self._alarmed:
            all_of_it.find(f"{kind}: {outcome} with {all_of_it.peak >> 20:,} MiB more", detail())
            self._alarmed = all_of_it.peak + MEMORY


def where(error: BaseException) -> str:
    """The last place in fedseed that an exception passed."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/fedseed/" in f.filename] or list(frames)
    return f"{own[-1].filename.rpartition('/fedseed/')[2]}:{own[-1].name}"


def limit_memory() -> None:
    """Let this process ask for little more than is a finding: a file may have no end."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 2 * MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _raise(_: int, __: FrameType | None) -> None:
    raise TooLong


@contextmanager
def _limited() -> Iterator[None]:
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
