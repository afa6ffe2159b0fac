"""Fine-tuning from a seed against downloading weights: seconds, and where they break even."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

DOWNLOADS = {"17.5 MB": 17_544_712, "90 MB": 90_000_000, "500 MB": 500_000_000}
"""Weights that one could download instead: BERT-tiny, MiniLM, GPT-2, bytes."""
LINKS = {
    "56 kbit/s": 56e3, "1 Mbit/s": 1e6, "10 Mbit/s": 1e7, "100 Mbit/s": 1e8, "1 Gbit/s": 1e9,
}  # fmt: skip
"""Link speeds, bits a second."""


def transfer_seconds(size: int, speed: float) -> float:
    """Seconds to move ``size`` bytes over a link of ``speed`` bits a second; no latency."""
    return 8 * size / speed


def break_even(weights: int, seed: int, training: float) -> float:
    """Link speed, bits a second, below which a seed and fine-tuning are quicker than weights.

    Args:
        weights: bytes of the weights.
        seed: bytes of the seed.
        training: seconds of fine-tuning.
    """
    return 8 * (weights - seed) / training


def cost_analysis(
    cells: Sequence[Mapping[str, Any]], targets: Sequence[float]
) -> list[dict[str, Any]]:
    """For each start and target accuracy the quickest budget that reaches it, against downloads.

    Args:
        cells: of a budget study, with ``after``, ``seconds`` and ``bytes``; those without bytes,
            of published weights, are left out.
        targets: accuracies.
    """
    readings: list[dict[str, Any]] = []
    starts = list(dict.fromkeys(cell["start"] for cell in cells if cell["bytes"] is not None))
    for start, target in itertools.product(starts, targets):
        enough = [c for c in cells if c["start"] == start and c["after"]["value"] >= target]
        cell = min(enough, key=lambda cell: cell["seconds"], default=None)
        if cell is None:
            readings.append({"start": start, "target": target, "budget": None})
            continue
        size, seconds = cell["bytes"], cell["seconds"]
        readings.append({
            "start": start,
            "target": target,
            "budget": {
                name: cell[name] for name in ("start", "samples", "steps", "seconds", "bytes")
            },
            "break_even_bits_per_second": {
                name: break_even(weights, size, seconds) for name, weights in DOWNLOADS.items()
            },
            "seconds": {
                link: {
                    "fine-tune": transfer_seconds(size, speed) + seconds,
                    **{
                        name: transfer_seconds(weights, speed)
                        for name, weights in DOWNLOADS.items()
                    },
                }
                for link, speed in LINKS.items()
            },
        })  # fmt: skip
    return readings
