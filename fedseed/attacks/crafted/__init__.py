"""Crafted seeds: a server that chooses the model makes metrics answer its own question."""

from fedseed.attacks.description import Attack

ATTACK = Attack(
    name="crafted",
    summary="which words a client's texts hold, asked by a server that chooses the seed",
    needs={"malicious-server": ("scores",)},
    needs_in_words="a seed of the server's choice",
    runs="special",
    reports=("token_precision", "token_recall", "counts_exact"),
    judge="fedseed.attacks.crafted.judge:judge",
)
