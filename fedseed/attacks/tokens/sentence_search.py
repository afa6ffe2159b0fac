"""Whole sentences tried against the gradient of the last layer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.models.bert import BertClassifier

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
Check = tuple[int, Floats]
"""Number of a head, or -1 for the [CLS] state, and the span of what it sees."""


def summaries(model: BertClassifier, ids: Ids) -> list[Floats]:
    """What the last layer sees of sentences of one length: [CLS] states, and each head's means.

    Each of shape ``(sentences, features)``; the [CLS] states come last, as number -1.
    """
    import torch

    heads = model.shape.heads
    layers: Any = model.bert.encoder.layer
    with torch.inference_mode():
        states = model.bert.embeddings(torch.from_numpy(ids))
        for layer in layers[:-1]:
            states = layer(states, None, False, 0.0)
        last = layers[-1].attention.self
        query = last.query(states[:, 0]).unflatten(-1, (heads, -1))
        key = last.key(states).unflatten(-1, (heads, -1))
        scores = torch.einsum("bhk,bnhk->bhn", query, key) * query.shape[-1] ** -0.5
        means = torch.einsum("bhn,bnd->hbd", scores.softmax(-1), states)
    return [part.double().numpy() for part in (*means, states[:, 0])]


def spreads_of(model: BertClassifier, ids: Ids) -> list[float]:
    """How far what :func:`summaries` returns for random sentences is from its mean."""
    seen = summaries(model, ids)
    return [float(np.sqrt(np.square(part - part.mean(0)).sum(1).mean())) for part in seen]


def search(
    model: BertClassifier,
    checks: list[Check],
    spreads: list[float],
    choices: list[Ids],
    rng: np.random.Generator,
) -> tuple[tuple[int, ...], float]:
    """Descend from a random sentence by single exchanges of words.

    Args:
        model: as it went down.
        checks: what sentences have to fit, at least one.
        spreads: units of the distances, see :func:`spreads_of`.
        choices: words to choose from at each position, at least one.
        rng: draws the start.

    Returns:
        The sentence that no exchange improves, and its root mean square distance from the spans.
    """

    def distances(ids: Ids) -> Floats:
        seen = summaries(model, ids)
        total = np.zeros(len(ids))
        for number, span in checks:
            outside = seen[number] - seen[number] @ span.T @ span
            total += np.square(outside).sum(1) / max(spreads[number], 1e-20) ** 2
        # Rounded, so that a last bit of the forward pass does not decide which way is down.
        return np.asarray(np.sqrt(total / len(checks)).round(4), dtype=np.float64)

    text = np.array([rng.choice(words) for words in choices])
    best = float(distances(text[None])[0])
    while True:
        swaps = [(p, w) for p, words in enumerate(choices) for w in words if w != text[p]]
        if not swaps:
            return tuple(text.tolist()), best
        tried = np.repeat(text[None], len(swaps), axis=0)
        tried[np.arange(len(swaps)), [p for p, _ in swaps]] = [w for _, w in swaps]
        values = distances(tried)
        if values.min() >= best:
            return tuple(text.tolist()), best
        text, best = tried[values.argmin()], float(values.min())
