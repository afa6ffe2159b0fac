"""The ``lexicon`` protocol: weighted words travel, and a run ends with a seed that knows."""

from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, field_validator

from fedseed.privacy.protection import CountingNoise
from fedseed.protocols.description import Protocol, ProtocolOptions, Style, Sums
from fedseed.protocols.rows import USUAL, Row
from fedseed.seeds.kinds.lexicon import LARGEST, MOST_LEVELS, SMALLEST

FEWEST_BUCKETS = 16
_LEFT_OUT = 200
"""Frequent words that are not counted under privacy (docs/decisions/sums.md)."""
_SEED_BYTES, _CLASS_BYTES = 2000, 200
"""Of a seed by default: for few classes, and for each of many."""


class LexiconOptions(ProtocolOptions):
    """How many words a client sends, how finely, and how large the seed may be."""

    estimate: Literal["logistic", "counts"] = Field(
        "logistic", description="What a client sends: the strongest words of a logistic "
        "regression of its own, or counts of its texts by word and class, which add up exactly "
        "(--words and --weight-bits have no meaning then)."
    )  # fmt: skip
    words: int = Field(
        800, ge=1, le=30_000, description="Words that a client sends in one round, at most."
    )
    weight_bits: int = Field(
        2, ge=1, le=8, description="Bits of a word's weight before coding; 1 is its sign alone."
    )
    buckets: int = Field(
        0, ge=0, le=29_000, description="Let words share weights or counts in so many buckets, "
        "of which the most frequent words have one each; 0 for a bucket a word."
    )  # fmt: skip
    words_per_text: int = Field(
        64, ge=1, le=512, description="privacy: words of one text that count, the rarest of it; "
        "the fewer, the less noise."
    )  # fmt: skip
    leave_out: int | None = Field(
        None, ge=0, le=29_000, description="counts: so many of the most frequent words are not "
        "counted (by their places in the vocabulary, which everybody knows); by default "
        f"{_LEFT_OUT} under --privacy, else none."
    )  # fmt: skip
    seed_bytes: int | None = Field(
        None, ge=SMALLEST, le=LARGEST, description="Longest seed that the server makes, bytes; by "
        f"default {_SEED_BYTES:,}, or {_CLASS_BYTES} for each class where that is more."
    )  # fmt: skip
    start_rounds: int = Field(
        1, ge=1, le=100, description="Rounds of words before another protocol goes on from the "
        "seed (--start lexicon)."
    )  # fmt: skip
    then: str | None = Field(
        None, description="Protocol that goes on from the seed after one round: short for "
        "--protocol NAME --start lexicon."
    )  # fmt: skip

    @field_validator("buckets")
    @classmethod
    def _enough(cls, value: int) -> int:
        if 0 < value < FEWEST_BUCKETS:
            raise ValueError(f"write 0, or at least {FEWEST_BUCKETS}")
        return value

    def for_classes(self, classes: int) -> dict[str, Any]:
        """See :class:`ProtocolOptions`: how long a seed of so many classes may be."""
        return {"seed_bytes": self.longest_seed(classes)}

    def longest_seed(self, classes: int) -> int:
        """How long a seed of so many classes may be, bytes."""
        return self.seed_bytes or max(_SEED_BYTES, _CLASS_BYTES * classes)

    def left_out(self, private: bool) -> int:
        """How many of the most frequent words are not counted."""
        return (_LEFT_OUT if private else 0) if self.leave_out is None else self.leave_out

    @property
    def numbers_of_a_text(self) -> int:
        """Numbers that one text changes under privacy, by 1 at most: words, class and length."""
        return self.words_per_text + 2

    @property
    def levels(self) -> int:
        """Levels of a weight on either side of zero."""
        return min(MOST_LEVELS, 1 << (self.weight_bits - 1))


def _add_up(options: LexiconOptions, rounds: int) -> None:
    if options.estimate != "counts":
        raise ValueError("weighted words do not add up: use --estimate counts")
    if rounds > 1:
        raise ValueError(
            "counts are sent once, and a sum of those who were lost would tell theirs: "
            "use --rounds 1"
        )


def _may_be_noised(options: LexiconOptions, privacy: Any) -> None:
    if options.estimate != "counts":
        raise ValueError("--privacy: nothing noises weighted words: use --estimate counts")
    if privacy.rounds > 1:
        raise ValueError("--privacy: counts are noised and sent once: use --rounds 1")
    left_out = options.left_out(private=True)
    if options.buckets and left_out >= options.buckets // 2:
        raise ValueError(
            f"--leave-out {left_out} leaves out buckets of several words: give less than "
            f"{options.buckets // 2}, half of --buckets"
        )


def _private(epsilon: float, secure: bool = True) -> Row:
    """A row of noised counts."""
    options = {"estimate": "counts", "privacy": "example", "epsilon": epsilon}
    how = "summed unseen" if secure else "noised by each client alone"
    return Row(
        f"counts, one text hidden by epsilon {epsilon:g}, {how}, one round", USUAL,
        options | ({"secure_aggregation": True} if secure else {}), rounds=1, steps=1,
        main=False,
    )  # fmt: skip


PROTOCOL = Protocol(
    name="lexicon",
    summary="weighted words travel: the seed that is made of them knows the task",
    options=LexiconOptions,
    server="fedseed.protocols.lexicon.server:LexiconServer",
    client="fedseed.protocols.lexicon.client:LexiconClient",
    ends_with="model",
    style=Style("#17807e", "*", "weighted words travelled", "lexicon of all clients"),
    typical_upload=830,
    sums=Sums("counts of texts by word and class", _add_up),
    privacy={
        "example": CountingNoise(
            "counts", lambda own: own.numbers_of_a_text, refuse=_may_be_noised
        ),
        "client": CountingNoise("counts", refuse=_may_be_noised),
    },
    reveals=frozenset({"model", "word_rows"}),
    words="fedseed.protocols.lexicon.reading:LexiconReading",
    rows={
        "lexicon-50": Row(
            "50 words, signs alone, one round", USUAL, {"words": 50, "weight_bits": 1}, rounds=1,
            steps=1, attacked=False,
        ),
        "lexicon-180": Row(
            "180 words, signs alone, one round", USUAL, {"words": 180, "weight_bits": 1}, rounds=1,
            steps=1, attacked=False,
        ),
        "lexicon": Row(
            "800 words of 2 bits, one round", USUAL, rounds=1, steps=1, skewed=True,
            robustness=("dropout", "poison"),
        ),
        "lexicon-counts": Row(
            "counts of texts by word and class, one round", USUAL, {"estimate": "counts"}, rounds=1,
            steps=1, skewed=True,
        ),
        "lexicon-counts-local-4": _private(4.0, secure=False),
        "lexicon-counts-private-4": _private(4.0),
        "lexicon-counts-private-1": replace(_private(1.0), attacked=False),
    },
)  # fmt: skip
