"""Initialisation schemes: the standard deviation of every tensor of an architecture.

``bert`` is the usual N(0, 0.02) (Devlin et al. 2019). ``scaled`` starts close to a bag of
words: hardly any attention pattern, no positions, projections that keep variance, and word
embeddings that are small beside the one direction that all tokens share (the token type's),
so that a word adds no noise until something is learnt about it. It decides how fast anything
is learnt from a random start; docs/decisions/initialisation.md has the measurements.
"""

import math

SCHEMES = ("bert", "scaled")
"""Names, in the order of their codes in a .fseed file: never reorder."""

_BERT_STD = 0.02


def standard_deviation(scheme: str, name: str, shape: tuple[int, ...]) -> float:
    """Standard deviation of the normal from which a weight matrix is drawn.

    Args:
        scheme: one of :data:`SCHEMES`.
        name: Hugging Face's name of the tensor; a matrix, not a bias or a layer norm.
        shape: ``(rows, columns)``; the columns are the fan-in of a projection.

    Returns:
        The standard deviation; 0 for a tensor that starts at zero.
    """
    if scheme == "bert":
        return _BERT_STD
    if "word_embeddings" in name:
        return _BERT_STD * 0.05
    if "token_type" in name:
        return _BERT_STD
    if "position" in name:
        return 0.0
    fan_in = 1.0 / math.sqrt(shape[1])
    if ".query." in name or ".key." in name:
        return 0.1 * fan_in
    if name.endswith("output.dense.weight") and ".attention." not in name:
        return 0.3 * fan_in
    return fan_in


def constant(name: str, shape: tuple[int, ...]) -> float | None:
    """Value of a tensor that is not drawn (biases 0, layer norms 1), None for a matrix."""
    if name.endswith(".bias"):
        return 0.0
    return 1.0 if len(shape) == 1 else None
