"""The client side of ``lexicon``: what its texts say of words, and has not been sent."""

import math
import struct

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fedseed.data.shard import Shard
from fedseed.errors import SeedError, WireError
from fedseed.linear.bounded_counts import (
    bounded,
    from_numbers,
    round_lengths,
    texts_within,
    to_numbers,
)
from fedseed.linear.buckets import collapse, names
from fedseed.linear.class_counts import ClassCounts
from fedseed.linear.counts import mean_counts, text_lengths
from fedseed.linear.selection import LabelledCounts
from fedseed.linear.token_weights import TokenWeights
from fedseed.memory import Memory
from fedseed.privacy.mechanisms import discrete_gaussian
from fedseed.protocols.base import ClientTask
from fedseed.protocols.lexicon import LexiconOptions
from fedseed.protocols.lexicon.counts import encode_class_counts
from fedseed.protocols.lexicon.logistic import own_weights, strongest
from fedseed.protocols.lexicon.messages import Asked, decode_words, encode_words, nothing, seed_of
from fedseed.protocols.lexicon.noisy_counts import encode_noisy_counts
from fedseed.protocols.shared_client import SharedModelClient
from fedseed.protocols.shared_model import Download
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import decode
from fedseed.training import FitResult

_SENT = "lexicon"
_COUNTED = "lexicon counted"
_LENGTH = "<I"
_UNTRAINED = FitResult(0, math.nan, False)


class LexiconClient(SharedModelClient):
    """Weighs words by its own texts, and sends those that say most of what it has not sent."""

    trains = False

    def work(self, download: Download, task: ClientTask) -> tuple[FitResult, bytes]:
        """See :class:`SharedModelClient`: no step of training."""
        asked, classes = Asked.decode(download.body), decode(download.seed).labels
        length = download.recipe.max_length
        self._refuse_more(asked)
        if asked.levels:
            if self._is_private:
                raise WireError("a client that noises what it sends sends counts only")
            texts = _texts(task.shard, length, asked, classes)
            return _UNTRAINED, _new_words(texts, asked, task.memory)
        if task.memory.get(_COUNTED):  # counts are sent once
            return _UNTRAINED, b""
        counted = self._counted(task, length, asked, classes)
        encode = encode_noisy_counts if self._is_private else encode_class_counts
        return _UNTRAINED, encode(counted, asked.buckets)

    def summand(
        self,
        download: Download,
        task: ClientTask,
        weight: int,  # noqa: ARG002
        cohort: int,  # noqa: ARG002
    ) -> tuple[FitResult, NDArray[np.int64]]:
        """See :class:`SharedModelClient`: counts add up as they are."""
        asked, classes = Asked.decode(download.body), decode(download.seed).labels
        self._refuse_more(asked)
        if asked.levels or task.memory.get(_COUNTED):
            raise WireError("counts are summed, and only once")
        counted = self._counted(task, download.recipe.max_length, asked, classes)
        return _UNTRAINED, to_numbers(counted, names(asked.buckets))

    def _counted(self, task: ClientTask, length: int, asked: Asked, classes: int) -> ClassCounts:
        """Counts of the client's texts; under privacy bounded by text, and noised."""
        task.memory[_COUNTED] = b"1"
        texts = _texts(task.shard, length, asked, classes)
        lengths = text_lengths(task.shard.table, task.shard.whole(), length)
        own, defence, tokens = self.options, self.defence, names(asked.buckets)
        assert isinstance(own, LexiconOptions)
        most = own.words_per_text if self._is_private else len(tokens)
        few = bounded(texts.counts, tokens, own.left_out(self._is_private), most)
        if not self._is_private:
            return ClassCounts.of(few, lengths, texts.labels, classes)
        assert defence is not None
        whole = round_lengths(lengths, length, task.rng)
        kept = np.arange(len(whole))
        if defence.by_client:
            kept = texts_within(few, whole, texts.labels, defence.clip, task.rng)
        counted = ClassCounts.of(few[kept], whole[kept], texts.labels[kept], classes)
        numbers = to_numbers(counted, tokens)
        noise = discrete_gaussian(defence.own_noise, len(numbers), task.rng)
        return from_numbers(numbers + noise, classes, tokens)

    def _refuse_more(self, asked: Asked) -> None:
        """Refuse what goes beyond the client's own options, whatever the server asks for.

        Raises:
            WireError: counts for words or the reverse, more words, finer ones, or other buckets.
        """
        own = self.options
        assert isinstance(own, LexiconOptions)
        other = (asked.levels == 0) != (own.estimate == "counts") or asked.buckets != own.buckets
        if other or asked.words > own.words or asked.levels > own.levels:
            raise WireError("more is asked for than this client's own options allow")

    def build(self, download: Download) -> nn.Module:
        """See :class:`SharedModelClient`: what the server's seed assembles."""
        asked = Asked.decode(download.body)
        if not asked.seed:
            return grow(download.seed)
        own = decode(download.seed)
        try:
            seed_of(asked.seed, own.model, own.labels)
            return grow(asked.seed)
        except SeedError as error:
            raise WireError(str(error)) from error


def _texts(shard: Shard, max_length: int, asked: Asked, classes: int) -> LabelledCounts:
    rows = shard.whole()
    counts = collapse(mean_counts(shard.table, rows, max_length), asked.buckets)
    return LabelledCounts(counts, np.asarray(shard.table.labels[rows]), classes)


def _new_words(texts: LabelledCounts, asked: Asked, memory: Memory) -> bytes:
    """The strongest words of what the client has not sent yet."""
    before = memory.get(_SENT, b"")
    own, sent = own_weights(texts), _sent(before, texts.classes)
    left = TokenWeights(own.weights - sent.weights, own.biases - sent.biases)
    body = encode_words(strongest(left, asked, texts))
    memory[_SENT] = before + struct.pack(_LENGTH, len(body)) + body
    return body


def _sent(remembered: bytes, classes: int) -> TokenWeights:
    """All that a client has sent in earlier rounds."""
    total, place = nothing(classes), 0
    while place < len(remembered):
        start = place + struct.calcsize(_LENGTH)
        place = start + struct.unpack_from(_LENGTH, remembered, place)[0]
        part = decode_words(remembered[start:place], classes)
        total = TokenWeights(total.weights + part.weights, total.biases + part.biases)
    return total
