"""A server that chooses the seed, over the wire: crafted questions, answered by metrics."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.attacks.crafted.crafted_seed import craft, read, request
from fedseed.attacks.tokens.vocabulary import SPECIAL
from fedseed.config import RunConfig
from fedseed.data.federated_dataset import FederatedDataset
from fedseed.federation.engines import Grid, run_local
from fedseed.federation.history import History
from fedseed.federation.session import Session
from fedseed.models.architecture import architecture
from fedseed.runs.plan import Plan
from fedseed.transcript import TRAIN, Transcript

QUESTIONS, FEW_QUESTIONS = 24, 6
"""Words that are asked for, one request each; the second under ``--quick``."""


def public_words(
    federated: FederatedDataset, rows: NDArray[np.int64], max_length: int, count: int = QUESTIONS
) -> list[int]:
    """So many words of texts that the server knows, evenly from the most to the least frequent."""
    ids, _ = federated.dataset.table.padded(rows, max_length)
    words, counts = np.unique(ids, return_counts=True)
    ordered = [int(w) for w in words[np.argsort(-counts, kind="stable")] if w not in SPECIAL]
    places = np.unique(np.geomspace(1, len(ordered), count).astype(int)) - 1
    return [ordered[place] for place in places]


def ask_for_words(
    plan: Plan,
    client_config: RunConfig,
    federated: FederatedDataset,
    known: NDArray[np.int64],
    questions: int = QUESTIONS,
) -> dict[str, Any]:
    """Ask every client for words, one request each, and compare the replies with the truth.

    Args:
        plan: the run that clients believe to take part in.
        client_config: what the clients are configured with.
        federated: their shards.
        known: rows of texts that the server knows, of which it takes its words.
        questions: words that are asked for.
    """
    words = public_words(federated, known, plan.max_length, questions)
    seeds = [craft([word], architecture(plan.seed.model)) for word in words]
    transcript = Transcript()
    clients = plan.config.clients

    def serve(grid: Grid, _run_config: object = None) -> None:
        session = Session(grid, len(federated.parts), History(transcript))
        for number, seed in enumerate(seeds, 1):
            payload = request(seed, plan.max_length)
            session.ask(number, dict.fromkeys(range(clients), payload))

    run_local(client_config, serve, None, federated)
    judged = [_judged(transcript, federated, pid, words, seeds, plan) for pid in range(clients)]
    sizes = [sum(e.payload_bytes.values()) for e in transcript if e.partition_id == 0]
    return {"words": judged, "payload_bytes": sum(sizes), "questions": len(words)}


def _judged(
    transcript: Transcript,
    federated: FederatedDataset,
    pid: int,
    words: list[int],
    seeds: list[bytes],
    plan: Plan,
) -> dict[str, Any]:
    """How many of the words a client was rightly said to have, or not to have."""
    shard = federated.shard(pid)
    ids, _ = shard.table.padded(shard.validation, plan.max_length)
    true = [int((ids == word).any(axis=1).sum()) for word in words]
    answers = [
        read(transcript.of(TRAIN, str(number))[pid].up, seed, [word]).with_word
        for number, (seed, word) in enumerate(zip(seeds, words, strict=True), 1)
    ]
    pairs = list(zip(answers, true, strict=True))
    both = sum(1 for answer, count in pairs if answer and count)
    named, there = sum(map(bool, answers)), sum(map(bool, true))
    return {
        "precision": both / named if named else None, "recall": both / there if there else None,
        "exact": sum(answer == count for answer, count in pairs) / len(words),
    }  # fmt: skip
