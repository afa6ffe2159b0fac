"""Which privacy options fit together."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedseed.config import RunConfig

BY_EXAMPLE = ("weights", "adapters", "labels")
"""Protocols whose clients train by DP-SGD under ``--privacy example``."""
BY_CLIENT = ("weights", "labels", "recipe")
"""Protocols whose clients noise what they send under ``--privacy client``."""


def needs_clip(config: "RunConfig") -> bool:
    """Whether the protected quantity has no bound of its own."""
    return config.privacy == "example" or config.protocol == "weights"


def refuse_impossible_privacy(config: "RunConfig") -> None:
    """Refuse privacy options that do not fit together, or do not fit the protocol.

    Raises:
        ValueError: with one line that says what to do.
    """
    _refuse_foreign(config)
    if config.privacy is None:
        return
    if config.privacy == "example":
        _refuse_by_example(config)
    else:
        _refuse_by_client(config)
    if config.epsilon is None and config.noise is None:
        raise ValueError(f"--privacy {config.privacy} needs --epsilon, a budget, or --noise")
    if needs_clip(config) and config.clip is None:
        what = "an example's gradient" if config.privacy == "example" else "a client's change"
        given = "noise" if config.epsilon is None else "epsilon"
        raise ValueError(f"--{given} needs --clip: give the largest norm of {what}, such as 1")
    if not needs_clip(config) and config.clip is not None:
        raise ValueError(
            f"--clip: what a client of protocol {config.protocol} sends is bounded: leave it out"
        )


def _refuse_foreign(config: "RunConfig") -> None:
    for name in ("metric_digits", "metric_threshold"):
        if getattr(config, name) is not None and config.protocol != "recipe":
            raise ValueError(
                f"--{name.replace('_', '-')} is an option of protocol recipe, not "
                f"{config.protocol}: leave it out"
            )
    for name in ("epsilon", "noise", "clip", "delta"):
        if getattr(config, name) is not None and config.privacy is None:
            raise ValueError(f"--{name} needs --privacy: say what it protects, example or client")


def _refuse_by_example(config: "RunConfig") -> None:
    if config.protocol == "recipe":
        raise ValueError(
            "--privacy example does not cover the validation scores of protocol recipe: use "
            "--privacy client, or --protocol weights, adapters or labels"
        )
    if config.protocol not in BY_EXAMPLE:
        raise ValueError(
            f"--privacy example: clients of protocol {config.protocol} cannot train by DP-SGD: "
            "use --protocol weights, adapters or labels"
        )


def _refuse_by_client(config: "RunConfig") -> None:
    if config.protocol not in BY_CLIENT:
        raise ValueError(
            f"--privacy client: nothing noises what protocol {config.protocol} sends: use "
            "--protocol weights, labels or recipe"
        )
    if config.protocol == "weights" and config.codec not in (None, "fp32", "fp16"):
        raise ValueError(
            f"--privacy client: --codec {config.codec} sends changes with error feedback: use "
            "fp32 or fp16"
        )
    if config.protocol == "labels" and config.label_bits not in (None, 1):
        raise ValueError("--privacy client randomises labels of one bit: leave out --label-bits")
    if config.protocol == "labels" and config.noise is not None:
        raise ValueError(
            "--noise: labels are protected by randomised response, not by noise: give --epsilon"
        )
    if config.metric_threshold is not None:
        raise ValueError(
            "--metric-threshold tells how few examples a client has, which --privacy client "
            "hides: leave one of them out"
        )
