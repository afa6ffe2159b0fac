"""Audit of DP-SGD: a lower bound on the epsilon that one training run really spent."""

from fedseed.attacks.description import Attack

ATTACK = Attack(
    name="audit",
    summary="a lower bound on the epsilon of DP-SGD",
    needs={"server": ("update",)},
    needs_in_words="a model trained with differential privacy",
    runs="special",
    reports=("epsilon_lower_bound", "epsilon_claimed"),
    judge="fedseed.attacks.audit.judge:judge",
    audits_dp_sgd=True,
)
