"""Gradient inversion: which texts were in a step? Read from one update of all weights.

Two attacks, on what comes up after a single step. :func:`words_in_order` compares rows of the word
embedding with rows of the position embedding: in a batch of one text, position ``p``'s gradient is
that of the token there, so that equal rows give the text away, under SGD and under Adam.
:func:`sentences` is DAGER (Petrov et al. 2024, arXiv 2405.15586) for an encoder: the gradient of a
projection is a sum of outer products with its inputs, so that those lie in its row span while there
are fewer tokens than features. Layer 0's inputs are known for every word and position.

BERT-tiny's 128 features bound the second attack to fewer than 128 tokens a batch, and its nearly
uniform attention makes most directions of the span weak: gradients come from fp32 weights, whose
rounding divided by the learning rate is the noise. A server that asks for SGD with a large rate
reads more. Where all positions are alike (the ``scaled`` scheme), the span gives a bag of words and
no order; :func:`words_in_order` still gives the order.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from fedseed.attacks.tokens.input_spans import (
    TOLERANCE,
    Ids,
    layer_span,
    sets_by_span,
    span_above_noise,
    tokens_by_span,
)
from fedseed.attacks.tokens.optimiser_step import POSITIONS, State, Step, positions_used, read_step
from fedseed.attacks.tokens.sentence_search import Check, search, spreads_of
from fedseed.attacks.tokens.vocabulary import SEP, WORDS, moved_rows
from fedseed.attacks.tokens.word_positions import match_positions
from fedseed.models.bert import BertClassifier
from fedseed.models.registry import to_state
from fedseed.recipe import Recipe

_MOST_CHOICES = 250
"""Words over all positions among which whole sentences are sought; more would take hours."""


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
    positions = step.moves[POSITIONS][: positions_used(step)]
    matches = match_positions(step.moves[WORDS][words], positions, recipe.optimiser == "sgd")
    return np.asarray(words[matches] if len(words) else matches[:0], dtype=np.int64)


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
        Texts recovered, at most ``texts``, as word ids with [CLS] and [SEP]; none when the attack
        fails because there are as many tokens as features, or too much noise.
    """
    span, positions = layer_span(step, 0), positions_used(step)
    if span is None or texts * positions >= span.shape[1]:
        return []
    distances = tokens_by_span(step.before, span, candidates, positions)
    # The nearest word is right even where noise keeps it far. Of several texts there may be more
    # words inside than texts: with v and w at one position and w at another, v there is inside too.
    sets = sets_by_span(distances, candidates, tolerance if texts > 1 else np.inf)
    if texts == 1:
        sets = [words[:1] for words in sets]
    checks = _checks(model, step, texts)
    misfits: dict[tuple[int, ...], float] = {}
    for choices in _choices(sets, texts, starts) if checks else ():
        spreads = spreads_of(model, rng.choice(candidates, (64, len(choices))))
        text, misfit = search(model, checks, spreads, choices, rng)
        misfits[text] = misfit
        if sum(value < 0.1 * tolerance for value in misfits.values()) == texts:
            break
    best = sorted(misfits, key=lambda text: misfits[text])[:texts]
    return [list(text) for text in best if misfits[text] < tolerance]


def _choices(sets: list[Ids], texts: int, starts: int) -> Iterator[list[Ids]]:
    """Words to choose from at each position, for every search, the last position [SEP]'s."""
    lengths = [place + 1 for place, words in enumerate(sets) if SEP in words[:texts]]
    if texts == 1:
        lengths, starts = lengths[:1], 1
    wide = sum(map(len, sets)) <= _MOST_CHOICES
    for length, run in itertools.product(lengths, range(starts * texts)):
        most = None if wide and run % 2 else texts  # with fewer choices more searches end well
        choices = [words[words != SEP][:most] for words in sets[: length - 1]]
        if all(map(len, choices)):
            yield [*choices, np.array([SEP])]


def _checks(model: BertClassifier, step: Step, texts: int) -> list[Check]:
    """Spans of the last layer with one direction for each text; any further ones are rounding."""
    name = f"bert.encoder.layer.{model.shape.layers - 1}.attention.self."
    query, value = (
        step.moves[f"{name}{part}.weight"] / step.noise[f"{name}{part}.weight"]
        for part in ("query", "value")
    )
    blocks = [query, *np.split(value, model.shape.heads)]
    spans = map(span_above_noise, blocks)
    return [
        (number - 1, span[:texts])
        for number, span in enumerate(spans)
        if span is not None and len(span) >= texts
    ]


def recovery(
    guesses: Sequence[Sequence[int]], true_texts: Sequence[Sequence[int]]
) -> dict[str, float]:
    """How much of some texts was recovered, each true text matched with its best distinct guess.

    Args:
        guesses: recovered texts as word ids, in any order.
        true_texts: the texts of the batch as they were trained on, at least one.

    Returns:
        ``token_share``, the share of tokens recovered at their place, and ``text_share``, that of
        texts recovered whole; both in [0, 1].
    """
    from scipy.optimize import linear_sum_assignment

    right = np.zeros((len(true_texts), max(len(guesses), 1)))
    for row, column in itertools.product(range(len(true_texts)), range(len(guesses))):
        pairs = zip(true_texts[row], guesses[column], strict=False)
        right[row, column] = sum(token == guess for token, guess in pairs)
    rows, columns = (part.tolist() for part in linear_sum_assignment(-right))
    matches = [(true_texts[row], guesses[column]) for row, column in zip(rows, columns) if guesses]
    whole = sum(list(text) == list(guess) for text, guess in matches)
    share = float(right[rows, columns].sum()) / sum(map(len, true_texts))
    return {"token_share": share, "text_share": whole / len(true_texts)}
