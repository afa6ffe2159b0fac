"""Words of a client's texts, from what it sent: its vocabulary, and texts by gradient inversion."""

from fedseed.attacks.description import Attack

ATTACK = Attack(
    name="tokens",
    summary="which words a client's texts hold",
    needs={"server": ("word_rows",), "eavesdropper": ("word_rows",)},
    needs_in_words="weights or what stands for them, from a client",
    runs="usual",
    reports=("token_precision", "token_recall"),
    judge="fedseed.attacks.tokens.judge:judge",
    of_each=True,
)
