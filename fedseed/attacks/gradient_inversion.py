"""Which texts were in a step? Read from one update of all weights.

Two attacks, on what comes up after a single step. :func:`words_in_order` compares rows of the word
embedding with rows of the position embedding: in a batch of one text, position ``p``'s gradient is
that of the token there, so that equal rows give the text away, under SGD and under Adam.
:func:`sentences` is DAGER (Petrov et al. 2024, arXiv 2405.15586) for an encoder: the gradient of a
projection is a sum of outer products with its inputs, so that those lie in its row span while there
are fewer tokens than features. Layer 0's inputs are known for every word and place.

BERT-tiny's 128 features bound the second attack to fewer than 128 tokens a batch, and its nearly
uniform attention makes most directions of the span weak: gradients come from fp32 weights, whose
rounding divided by the learning rate is the noise. A server that asks for SGD with a large rate
reads more. Where all positions are alike (the ``scaled`` scheme), the span tells a bag of words and
no order; :func:`words_in_order` still tells it.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.attacks.position_matching import match_positions
from fedseed.attacks.sentence_search import Check, search, spreads_of
from fedseed.attacks.vocabulary import WORDS, moved_rows
from fedseed.models.bert import BertClassifier
from fedseed.models.registry import to_state
from fedseed.recipe import Recipe

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
State = Mapping[str, NDArray[Any]]

POSITIONS = "bert.embeddings.position_embeddings.weight"
_SEGMENTS = "bert.embeddings.token_type_embeddings.weight"
_NORM = "bert.embeddings.LayerNorm."
_PARTS = ("query", "key", "value")
CLS, SEP = 101, 102
"""Ids of bert-base-uncased, the first and the last token of every text."""
TOLERANCE = 0.3
"""Largest distance of a token that is called inside the span; unrelated tokens are near 1."""
_LEAST = 1e-20
_MOST_CHOICES = 250
"""Words over all places among which whole sentences are sought; more would take hours."""


@dataclass(frozen=True)
class Step:
    """What one optimiser step did to a model."""

    before: State
    moves: dict[str, Floats]
    """Movement divided by the learning rate, weight decay taken out. Of SGD the gradient, since
    momentum's first step has none; of Adam g / (|g| + 1e-8)."""
    noise: dict[str, float]
    """Standard deviation of a move that fp32 rounding alone makes."""


def read_step(before: State, after: State, recipe: Recipe) -> Step:
    """Undo the arithmetic of one optimiser step.

    Args:
        before: the state that went down.
        after: the state that came up after one step, in fp32.
        recipe: the recipe that went down.
    """
    moves: dict[str, Floats] = {}
    noise: dict[str, float] = {}
    for name, old in before.items():
        rate = recipe.rate(0) * (recipe.embedding_multiplier if name == WORDS else 1.0)
        decay = recipe.weight_decay if old.ndim > 1 else 0.0
        # Decay adds decay * weight to the gradient or, decoupled, to the movement: alike here.
        wide = old.astype(np.float64)
        moves[name] = (wide - after[name]) / rate - decay * wide
        spacing = np.spacing(np.maximum(np.abs(after[name]), np.float32(_LEAST)))
        noise[name] = float(np.sqrt(np.mean(np.square(spacing, dtype=np.float64)) / 12)) / rate
    return Step(before, moves, noise)


def words_in_order(before: State, after: State, recipe: Recipe) -> Ids:
    """The text of a batch of one, in order, from the state before and after one step.

    Args:
        before: the state that went down.
        after: the state that came up.
        recipe: the recipe that went down.

    Returns:
        Word ids, special tokens included, shape ``(tokens,)``; empty when nothing moved.
    """
    step = read_step(before, after, recipe)
    words = moved_rows(before, after, special=())
    places = step.moves[POSITIONS][: _positions_used(step)]
    found = match_positions(step.moves[WORDS][words], places, recipe.optimiser == "sgd")
    return np.asarray(words[found] if len(words) else found[:0], dtype=np.int64)


def texts_of_step(
    model: BertClassifier, after: State, recipe: Recipe, texts: int, rng: np.random.Generator
) -> list[list[int]]:
    """The texts of one step, by whichever attack can read them; none when neither can.

    Args:
        model: as it went down.
        after: the state that came up.
        recipe: the recipe that went down.
        texts: texts in the batch.
        rng: draws the starts of a search.
    """
    before = to_state(model)
    if texts == 1:
        return [words_in_order(before, after, recipe).tolist()]
    if recipe.optimiser != "sgd":
        return []  # Adam's first step keeps signs alone: they span nothing
    candidates = moved_rows(before, after, special=())
    return sentences(model, read_step(before, after, recipe), candidates, texts, rng)


def _positions_used(step: Step) -> int:
    """Tokens of the longest text: a position that no text reaches does not move."""
    used = np.sqrt(np.square(step.moves[POSITIONS]).mean(axis=1)) > 4 * step.noise[POSITIONS]
    return len(used) if used.all() else int(used.argmin())


def input_span(gradient: Floats, tolerance: float) -> Floats | None:
    """Orthonormal basis of the inputs of a projection.

    Args:
        gradient: of its weights, shape ``(outputs, features)``.
        tolerance: singular values up to this are noise.

    Returns:
        Shape ``(rank, features)``; None when the rank is full, so that every vector is inside.
    """
    _, values, right = np.linalg.svd(gradient, full_matrices=False)
    rank = int((values > tolerance).sum())
    return None if rank == gradient.shape[1] else np.asarray(right[:rank], dtype=np.float64)


def layer_span(step: Step, layer: int, parts: Sequence[str] = _PARTS) -> Floats | None:
    """The span of a layer's attention inputs, of one step of SGD.

    Gradients are brought to unit noise before they are stacked; the largest singular value of noise
    alone is about the root of its rows plus that of its columns (Bai and Yin 1993).
    """
    names = [f"bert.encoder.layer.{layer}.attention.self.{part}.weight" for part in parts]
    stacked = np.concatenate([step.moves[name] / step.noise[name] for name in names])
    return input_span(stacked, 1.05 * float(np.sqrt(stacked.shape).sum()))


def embedded(state: State, words: Ids, position: int, eps: float = 1e-12) -> Floats:
    """Layer 0's inputs for some words at one position, shape ``(words, features)``."""
    rows = state[WORDS][words].astype(np.float64)
    rows += state[POSITIONS][position].astype(np.float64) + state[_SEGMENTS][0]
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.sqrt(np.square(rows).mean(axis=1, keepdims=True) + eps)
    return np.asarray(rows * state[_NORM + "weight"] + state[_NORM + "bias"], dtype=np.float64)


def tokens_by_span(state: State, span: Floats, candidates: Ids, positions: int) -> Floats:
    """How far candidate words at each position are from the span of the inputs.

    Args:
        state: the state that went down.
        span: orthonormal rows, see :func:`layer_span`.
        candidates: word ids, such as :func:`fedseed.attacks.vocabulary.moved_rows` finds.
        positions: positions to look at, from the first.

    Returns:
        Shape ``(positions, candidates)``: the part outside the span, in units of how far the word's
        input is from the position's mean input, so that what all words share does not count. 0 for
        words that are there, about 1 for others.
    """
    sample = np.arange(0, len(state[WORDS]), 61)
    distances = np.empty((positions, len(candidates)))
    for place in range(positions):
        inputs = embedded(state, candidates, place)
        usual = embedded(state, sample, place).mean(axis=0)
        outside = np.linalg.norm(inputs - inputs @ span.T @ span, axis=1)
        distances[place] = outside / np.maximum(np.linalg.norm(inputs - usual, axis=1), _LEAST)
    return distances


def sets_by_span(distances: Floats, candidates: Ids, tolerance: float = TOLERANCE) -> list[Ids]:
    """The words inside the span at each position, to where no word is, nearest first."""
    sets: list[Ids] = []
    for row in distances:
        order = np.argsort(row, kind="stable")
        inside = candidates[order[row[order] < tolerance]]
        if not len(inside):
            break
        sets.append(inside)
    return sets


def sentences(
    model: BertClassifier,
    step: Step,
    candidates: Ids,
    texts: int,
    rng: np.random.Generator,
    tolerance: float = TOLERANCE,
    starts: int = 8,
) -> list[list[int]]:
    """Recover the texts of one step of SGD.

    The span of layer 0 gives the words at each position. Of one text that is the text. Of several,
    whole sentences are tried: the last layer is computed for [CLS] alone, so that the gradient of
    its queries spans the texts' [CLS] states, and that of each head's values the texts' mean states
    under the head's attention. Both are functions of the whole sentence. From random choices among
    the words of each position, single words are exchanged while that brings the sentence nearer.

    Args:
        model: as it went down; its encoder makes the states.
        step: of SGD, from that model.
        candidates: word ids to try, special tokens included.
        texts: texts in the batch.
        rng: draws the starts.
        tolerance: see :func:`sets_by_span`; for whole sentences alike.
        starts: of the search, for each text and length.

    Returns:
        Texts found, at most ``texts``, as word ids with [CLS] and [SEP]; none when the attack
        fails because there are as many tokens as features, or too much noise.
    """
    span, places = layer_span(step, 0), _positions_used(step)
    if span is None or texts * places >= span.shape[1]:
        return []
    distances = tokens_by_span(step.before, span, candidates, places)
    # The nearest word is right even where noise keeps it far. Of several texts there may be more
    # words inside than texts: with v and w at one place and w at another, v there is inside too.
    sets = sets_by_span(distances, candidates, tolerance if texts > 1 else np.inf)
    if texts == 1:
        sets = [words[:1] for words in sets]
    lengths = [place + 1 for place, words in enumerate(sets) if SEP in words[:texts]]
    lengths = lengths if texts > 1 else lengths[:1]
    checks = _checks(model, step, texts)
    found: dict[tuple[int, ...], float] = {}
    wide = sum(map(len, sets)) <= _MOST_CHOICES
    runs = range(starts * texts if texts > 1 else 1)
    for length, run in itertools.product(lengths if checks else (), runs):
        most = None if wide and run % 2 else texts  # with fewer choices more searches end well
        choices = [words[words != SEP][:most] for words in sets[: length - 1]]
        if all(map(len, choices)):
            spreads = spreads_of(model, rng.choice(candidates, (64, length)))
            choices.append(np.array([SEP]))
            text, distance = search(model, checks, spreads, choices, rng)
            found[text] = distance
        if sum(distance < 0.1 * tolerance for distance in found.values()) == texts:
            break
    best = sorted(found, key=lambda text: found[text])[:texts]
    return [list(text) for text in best if found[text] < tolerance]


def _checks(model: BertClassifier, step: Step, texts: int) -> list[Check]:
    """Spans of the last layer with one direction for each text; any further ones are rounding."""
    name = f"bert.encoder.layer.{model.shape.layers - 1}.attention.self."
    query, value = (
        step.moves[f"{name}{part}.weight"] / step.noise[f"{name}{part}.weight"]
        for part in ("query", "value")
    )
    blocks = [query, *np.split(value, model.shape.heads)]
    spans = [input_span(block, 1.05 * float(np.sqrt(block.shape).sum())) for block in blocks]
    return [
        (number - 1, span[:texts])
        for number, span in enumerate(spans)
        if span is not None and len(span) >= texts
    ]


def recovery(found: Sequence[Sequence[int]], true: Sequence[Sequence[int]]) -> dict[str, float]:
    """How much of some texts was found, each true text matched with its best distinct guess.

    Args:
        found: recovered texts as word ids, in any order.
        true: the texts of the batch as they were trained on, at least one.

    Returns:
        ``tokens``, the share of tokens found at their place, and ``sentences``, that of texts found
        whole; both in [0, 1].
    """
    from scipy.optimize import linear_sum_assignment

    right = np.zeros((len(true), max(len(found), 1)))
    for row, column in itertools.product(range(len(true)), range(len(found))):
        right[row, column] = sum(a == b for a, b in zip(true[row], found[column], strict=False))
    rows, columns = (part.tolist() for part in linear_sum_assignment(-right))
    pairs = [(true[row], found[column]) for row, column in zip(rows, columns) if found]
    whole = sum(list(text) == list(guess) for text, guess in pairs)
    matched = float(right[rows, columns].sum())
    return {"tokens": matched / sum(map(len, true)), "sentences": whole / len(true)}
