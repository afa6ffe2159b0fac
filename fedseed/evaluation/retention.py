"""Retention: how much of an original's accuracy is left, plainly and above chance."""


def plain(accuracy: float, original: float) -> float | None:
    """Return accuracy / original. It calls a coin flip more than half retained.

    None when the original is never right, which happens on a test of one class.
    """
    return accuracy / original if original else None


def chance_corrected(accuracy: float, original: float, chance: float) -> float | None:
    """Return (accuracy - chance) / (original - chance): 0 for guessing, 1 for the original.

    Args:
        accuracy: share of correct predictions.
        original: the original's share on the same test examples.
        chance: the majority baseline of those examples.

    Returns:
        The corrected retention; None when the original itself is no better than chance.
    """
    if original <= chance:
        return None
    return (accuracy - chance) / (original - chance)
