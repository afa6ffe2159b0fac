"""Property inference: the share of each class among a client's texts."""

from fedseed.attacks.description import READABLE, Attack

ATTACK = Attack(
    name="label-distribution",
    summary="the class mix of a client's texts",
    needs={"server": READABLE, "eavesdropper": READABLE},
    needs_in_words="a client's contributions, which make a model or can be read as numbers",
    runs="skewed",
    reports=("label_error", "label_error_of_guessing"),
    judge="fedseed.attacks.label_distribution.judge:judge",
    of_each=True,
)
