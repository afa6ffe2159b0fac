"""What a seed holds, for people: its words, bytes by part, errors by tensor, compression."""

from collections.abc import Mapping

import numpy as np
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from tokenizers import Tokenizer

from fedseed.evaluation.reconstruction import relative_error, total_error
from fedseed.models.architecture import State
from fedseed.models.published import tokenizer_file
from fedseed.models.registry import find_model
from fedseed.results.fitting import new_table
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import assemble, describe, encode, expected_errors, sizes
from fedseed.seeds.kinds.lexicon.format import read_lexicon
from fedseed.seeds.kinds.lexicon.words import by_class, rarity

_WORDS = 12
"""Words shown of each class."""


def seed_tables(seed: Seed, weights: State | None = None, words: bool = True) -> Group:
    """Return what is printed about a seed.

    Args:
        seed: any seed.
        weights: what to compare the assembled weights with; without them the errors are those
            that follow from the seed alone.
        words: whether the strongest words of a lexicon are shown: they come from private texts.

    Raises:
        SeedError: the seed does not fit its architecture.
        ConfigError: its architecture cannot be found.
    """
    model = find_model(seed.model, seed.labels)
    shapes, whole = model.shapes(), len(encode(seed))
    lines = [f"{name}: {value}" for name, value in describe(seed).items()]
    if weights is None:
        errors = expected_errors(seed, shapes)
    else:
        errors = relative_error(assemble(seed, shapes), weights)
    table = _parts(sizes(seed, shapes), errors, {n: _shape(s) for n, s in shapes.items()})
    fp32 = model.fp32_bytes()
    after = [
        f"bytes: {whole:,}; the weights in fp32 are {fp32:,}, {fp32 / whole:,.0f} times as many"
    ]
    if weights is not None:
        total = total_error(assemble(seed, shapes), weights)
        after.append(f"reconstruction error over all tensors: {total:.3f}")
    if errors:
        after.append("error: ||assembled - weights|| / ||weights - their mean||; 0 is exact")
    shown = [_strongest(seed)] if words and seed.kind == "lexicon" else []
    return Group(*map(Text, lines), table, *shown, *map(Text, after))


def _strongest(seed: Seed) -> Table:
    """The words that say most for each class of a lexicon, and how much."""
    lexicon, *_ = read_lexicon(seed.payload)
    names = Tokenizer.from_file(str(tokenizer_file(seed.model)))
    weights = by_class(lexicon.columns_of_weights()) / rarity(0.5)[lexicon.tokens][:, None]
    table = new_table("Strongest words of each class, by weight and frequency")
    for name in ("class", "words"):
        table.add_column(name, overflow="fold")
    for number, column in enumerate(weights.T):
        best = [row for row in np.argsort(-column, kind="stable")[:_WORDS] if column[row] > 0]
        words = [str(names.id_to_token(int(lexicon.tokens[row]))) for row in best]
        table.add_row(str(number), escape(", ".join(words)))
    return table


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{length:,}" for length in shape)


def _parts(
    parts: Mapping[str, float], errors: Mapping[str, float], shapes: Mapping[str, str]
) -> Table:
    table = new_table("Bytes by part")
    for name in ("part", "shape", "bytes", "error"):
        table.add_column(name, justify="left" if name == "part" else "right", overflow="fold")
    for name, size in parts.items():
        error = f"{errors[name]:.3f}" if name in errors else ""
        table.add_row(escape(name), shapes.get(name, ""), f"{size:,.0f}", error)
    return table
