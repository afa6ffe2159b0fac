"""Membership inference: whether a text was among those that were trained on."""

from fedseed.attacks.description import READABLE, Attack

ATTACK = Attack(
    name="membership",
    summary="whether a text was trained on",
    needs={"server": READABLE, "eavesdropper": READABLE, "client": READABLE, "newcomer": ()},
    needs_in_words="contributions that make a model or can be read as numbers, or a final result",
    runs="usual",
    reports=("auc", "tpr_at_1pct_fpr", "tpr_at_0_1pct_fpr", "roc"),
    judge="fedseed.attacks.membership.judge:judge",
)
