"""Membership inference by an attacker who has trained many shadow models of one client."""

from fedseed.attacks.description import Attack

ATTACK = Attack(
    name="many-shadows",
    summary="whether a text was trained on, by an attacker with 64 shadow runs of one client",
    needs={"server": ("model",)},
    needs_in_words="contributions that make a model",
    runs="special",
    reports=("auc", "tpr_at_1pct_fpr", "tpr_at_0_1pct_fpr", "roc", "per_record"),
    judge="fedseed.attacks.many_shadows.judge:judge",
    of_each=True,
)
