"""Perplexity by sliding windows, in log space, with the protocol that decides the number.

Windows of ``context`` tokens start every ``stride`` tokens; a token is scored once, in the first
window that holds it, given everything before it there. A token that has nothing before it in that
window is not scored: the text's first and, when the stride equals the context (the harshest
protocol, no overlap), every window's first. With a small stride every token sees nearly a full
context.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fedseed.errors import DataError

Logits = Callable[[Tensor], Tensor]
"""Maps token ids of shape ``(batch, time)`` to logits ``(batch, time, vocabulary)``."""
_TOKENS_AT_ONCE = 4096


@dataclass(frozen=True)
class Perplexity:
    """The loss of a text, and the protocol under which it was measured."""

    loss_nats: float
    """Mean negative log-likelihood of a scored token; infinite when a token is impossible."""
    tokens: int
    """Scored tokens."""
    words: int
    """Words of the whole text, split at white space."""
    context: int | None = None
    stride: int | None = None

    @property
    def per_token(self) -> float:
        """exp(loss); infinite where that is no longer a float64."""
        return _exp(self.loss_nats)

    @property
    def per_word(self) -> float:
        """exp(total loss / words): comparable between tokenizers."""
        return _exp(self.loss_nats * self.tokens / max(1, self.words))

    def to_record(self) -> dict[str, Any]:
        """record.json's form: what is infinite is null, with ``infinite`` set."""
        numbers = {
            "perplexity": self.per_token, "perplexity_per_word": self.per_word,
            "loss_nats": self.loss_nats,
        }  # fmt: skip
        finite = {name: v if math.isfinite(v) else None for name, v in numbers.items()}
        return finite | {
            "infinite": not math.isfinite(self.per_token), "tokens": self.tokens,
            "words": self.words, "context": self.context, "stride": self.stride,
        }  # fmt: skip


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def sliding_perplexity(
    logits: Logits, ids: NDArray[np.int64], words: int, context: int, stride: int
) -> Perplexity:
    """Measure a model on a text.

    Args:
        logits: the model.
        ids: the text's tokens, shape ``(tokens,)``.
        words: the text's words.
        context: tokens in a window, at least 2.
        stride: tokens from one window to the next, 1 to ``context``.

    Raises:
        DataError: the text has fewer tokens than the context.
    """
    if len(ids) < context:
        raise DataError(
            f"the text has {len(ids)} tokens, fewer than the context of {context}: give a longer "
            "text or a smaller --context"
        )
    total, scored = 0.0, 0
    starts = list(range(0, max(1, len(ids) - context + stride), stride))
    at_once = max(1, _TOKENS_AT_ONCE // context)
    with torch.inference_mode():
        for first in range(0, len(starts), at_once):
            group = starts[first : first + at_once]
            # The last window may be shorter: it goes alone.
            for part in (
                [start for start in group if start + context <= len(ids)],
                [start for start in group if start + context > len(ids)],
            ):
                if part:
                    new, count = _windows(logits, ids, part, context, stride)
                    total, scored = total + new, scored + count
    loss = total / scored if math.isfinite(total) else math.inf
    return Perplexity(loss, scored, words, context, stride)


def _windows(
    logits: Logits, ids: NDArray[np.int64], starts: list[int], context: int, stride: int
) -> tuple[float, int]:
    """Sum of losses and number of tokens that are new in these windows of equal length."""
    batch = torch.from_numpy(np.stack([ids[start : start + context] for start in starts]))
    scores = logits(batch)[:, :-1].float().log_softmax(dim=-1)
    losses = -scores.gather(-1, batch[:, 1:, None])[..., 0].double()
    total, count = 0.0, 0
    for start, window in zip(starts, losses, strict=True):
        new = window if start == 0 else window[max(0, context - stride - 1) :]
        total += float(new.sum())
        count += len(new)
    return total, count


def uniform_perplexity(vocabulary: int, tokens: int, words: int) -> Perplexity:
    """The baseline that knows nothing: every token equally likely."""
    return Perplexity(math.log(vocabulary), tokens, words)


def unigram_perplexity(
    train: NDArray[np.int64], test: NDArray[np.int64], vocabulary: int, words: int
) -> Perplexity:
    """The baseline that knows how often tokens are, add-one smoothed, and no context.

    Args:
        train: tokens to count.
        test: tokens to score; the first is left out, as a model's is.
        vocabulary: number of tokens there are.
        words: of the test text.
    """
    counts = np.bincount(train, minlength=vocabulary) + 1.0
    losses = np.log(counts.sum()) - np.log(counts[test[1:]])
    return Perplexity(float(losses.mean()), len(test) - 1, words)
