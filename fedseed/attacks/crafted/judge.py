"""How many of the words that were asked for a client was rightly said to have, over clients."""

from typing import Any

import numpy as np

from fedseed.attacks.evidence import Evidence
from fedseed.attacks.tokens.judge import word_cell


def judge(evidence: Evidence) -> list[dict[str, Any]]:
    """One cell: precision and recall, and the share of exact counts.

    Args:
        evidence: each run has ``words``, for each client the precision and recall of the answers
            and the share of ``exact`` counts, and ``payload_bytes`` of one client.
    """
    answers = [client for run in evidence.runs for client in run["words"]]
    return [word_cell(answers) | {
        "attack": "crafted seed",
        "counts_exact": float(np.mean([client["exact"] for client in answers])),
        "bytes_read": evidence.runs[0]["payload_bytes"],
    }]  # fmt: skip
