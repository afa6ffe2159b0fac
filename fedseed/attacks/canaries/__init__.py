"""Canaries: how far a planted text stands out from its likes that were never planted."""

from fedseed.attacks.description import Attack

ATTACK = Attack(
    name="canaries",
    summary="texts planted among a client's",
    needs={"server": ("model",), "newcomer": ()},
    needs_in_words="a model",
    runs="usual",
    reports=("repeated", "exposure_bits", "most_bits"),
    judge="fedseed.attacks.canaries.judge:judge",
)
