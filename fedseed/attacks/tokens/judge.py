"""How much of the clients' words was named, over clients."""

from collections.abc import Mapping, Sequence
from typing import Any

from fedseed.attacks.evidence import Evidence
from fedseed.attacks.roc import over_targets


def judge(evidence: Evidence) -> list[dict[str, Any]]:
    """One cell: precision and recall of the words that were named.

    Args:
        evidence: each run has ``words``, what
            :func:`~fedseed.attacks.tokens.vocabulary.vocabulary_recovery` returns for each client.
    """
    clients = 1 if evidence.one_client_alone else None
    return [word_cell([words for run in evidence.runs for words in run["words"][:clients]])]


def word_cell(recoveries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Precision and recall of the words that were named, over clients.

    Args:
        recoveries: what :func:`~fedseed.attacks.tokens.vocabulary.vocabulary_recovery` returns.
    """
    shares = {
        name: [recovery[name] for recovery in recoveries if recovery[name] is not None]
        for name in ("precision", "recall")
    }
    rates = {
        f"token_{name}": over_targets(values) if values else None for name, values in shares.items()
    }
    return {"attack": "tokens", "targets": len(recoveries), **rates}


def update_cell(update: Mapping[str, Any]) -> dict[str, Any]:
    """The words named from updates of a few texts, and what gradient inversion recovered.

    Args:
        update: ``words`` as above, and ``texts``, what
            :func:`~fedseed.attacks.tokens.gradient_inversion.recovery` returns, for each trial;
            no texts where there was more than one step.
    """
    cell = word_cell(update["words"])
    if update["texts"]:
        cell["gradient_inversion"] = {
            name: over_targets([text[name] for text in update["texts"]])
            for name in ("token_share", "text_share")
        }
    return cell
