"""Where the tokens of a chunk of texts lie in the rows of its activations."""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

_ROWS, _FIRST_ROWS = 256, 16
"""What numbers of rows are rounded up to multiples of, if they are."""


@dataclass(frozen=True)
class Layout:
    """How a chunk's tokens lie in the rows of its activations: text after text, then zeros."""

    texts: int
    width: int
    """Tokens of each text, padding included."""
    rows: int
    """Rows of one model, at least ``texts * width``."""
    first_rows: int
    """Rows of one model where every text has one, at least ``texts``."""
    lengths: Tensor
    """Tokens of each text without padding, shape ``(..., texts)``, on the CPU."""
    like: Tensor
    """Of the type and on the device of the mask."""

    def __post_init__(self) -> None:
        """Check the lengths, once for all layers: C reads and writes as far as they say.

        Raises:
            IndexError: a text of a negative length, or longer than the width.
        """
        smallest, largest = (int(bound) for bound in self.lengths.aminmax())
        if smallest < 0 or largest > self.width or self.width == 0:
            length = smallest if smallest < 0 else largest
            raise IndexError(f"a text of {length} tokens in {self.width}")

    @classmethod
    def of(cls, lengths: Tensor, width: int, few_shapes: bool, like: Tensor) -> "Layout":
        """Rows for some texts.

        Args:
            lengths: tokens of each text, int64, shape ``(..., texts)``, on the CPU.
            width: tokens of each text with padding.
            few_shapes: round numbers of rows up.
            like: an array of the type and on the device that the mask is to have.

        Raises:
            IndexError: a text that does not fit the width.
        """
        texts, lengths = lengths.shape[-1], lengths.contiguous()
        if not few_shapes:
            return cls(texts, width, texts * width, texts, lengths, like)
        rows, first_rows = -(-texts * width // _ROWS), -(-texts // _FIRST_ROWS)
        return cls(texts, width, _ROWS * rows, _FIRST_ROWS * first_rows, lengths, like)

    @functools.cached_property
    def mask(self) -> Tensor | None:
        """0 for a token and minus infinity for padding, shape ``(last texts, 1, width)``.

        Longest first, as texts come, those without padding are the first ones: they are left out.
        None without padding.
        """
        lengths, device = self.lengths.reshape(-1), self.like.device
        padded = (lengths < self.width).nonzero()
        if len(padded) == 0:
            return None
        last = lengths[int(padded[0]) :].to(device)[:, None, None]
        padding = torch.arange(self.width, device=device) >= last
        return self.like.new_zeros(padding.shape).masked_fill_(padding, -torch.inf)

    def live(self, rows: Tensor) -> Tensor:
        """The rows of the texts' tokens."""
        return rows[..., : self.texts * self.width, :]

    def new_rows(self, like: Tensor, features: int) -> Tensor:
        """Rows to be filled for the texts, zero where there are none."""
        rows = like.new_empty(*like.shape[:-2], self.rows, features)
        rows[..., self.texts * self.width :, :].zero_()
        return rows

    def by_head(self, rows: Tensor, heads: int, parts: int = 1) -> Tensor:
        """From ``(..., rows, parts * hidden)`` to ``(parts, all texts, heads, width, size)``."""
        size = rows.shape[-1] // heads // parts
        live = self.live(rows).view(-1, self.width, parts, heads, size)
        return live.permute(2, 0, 3, 1, 4)


def with_rows(rows: Tensor, count: int) -> Tensor:
    """The same with rows of zeros below, shape ``(..., count, features)``."""
    if rows.shape[-2] == count:
        return rows
    return torch.nn.functional.pad(rows, (0, 0, 0, count - rows.shape[-2]))
