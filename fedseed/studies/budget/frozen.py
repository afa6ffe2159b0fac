"""A published model with a frozen body: mean-pooled features once, then a linear head."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable
from fedseed.errors import ConfigError, first_line
from fedseed.models.published import model_folder
from fedseed.training.batches import batches, longest_first

Features = NDArray[np.float32]
_BATCH = 32
_RATE = 1e-2


@functools.lru_cache(maxsize=1)
def _body(name: str) -> Any:
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        made: Any = AutoModel.from_pretrained(
            model_folder(name), use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name} is no model known here: {first_line(error)}") from error
    model, report = made
    lost = sorted(part for part in report["missing_keys"] if "pooler." not in part)
    if lost:
        raise ConfigError(f"the weights of {name} lack {lost[0]}: copy or download it again")
    return model.eval()


def features(name: str, table: TokenTable, rows: Rows, max_length: int) -> Features:
    """Mean of the last hidden states over a text's tokens, scaled to length 1.

    Mean pooling is how the sentence-transformers models were trained (Reimers and Gurevych
    2019).

    Args:
        name: a published model with bert-base-uncased's vocabulary, or whose tokens the table has.
        table: the tokens.
        rows: texts to describe.
        max_length: tokens kept of each.

    Returns:
        Shape ``(len(rows), hidden)``.
    """
    order = longest_first(table.lengths(rows, max_length))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH):
            ids, lengths = table.padded(rows[order[start : start + _BATCH]], max_length)
            mask = torch.from_numpy(np.arange(ids.shape[1]) < lengths[:, None])
            states = _body(name)(input_ids=torch.from_numpy(ids), attention_mask=mask.long())
            summed = (states.last_hidden_state * mask[..., None]).sum(1)
            parts.append(torch.nn.functional.normalize(summed, dim=-1).numpy())
    longest_first_features = np.concatenate(parts)
    pooled = np.empty_like(longest_first_features)
    pooled[order] = longest_first_features
    return pooled


def train_head(
    known: Features,
    labels: NDArray[np.int64],
    classes: int,
    steps: Sequence[int],
    rng: np.random.Generator,
    test: Callable[[int, Callable[[Features], Features]], None],
) -> None:
    """Train a linear head with AdamW at 1e-2 in batches of 32, and test it in between.

    Args:
        known: features of the training texts.
        labels: their class numbers.
        classes: how many there are.
        steps: after which to test, ascending.
        rng: decides the order of the examples.
        test: given the steps done and the head, a function from features to scores.
    """
    scale = float(np.sqrt(known.shape[1]))  # unit vectors have small coordinates
    head = torch.nn.Linear(known.shape[1], classes)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
    optimiser = torch.optim.AdamW(head.parameters(), lr=_RATE, weight_decay=0.0)
    inputs, targets = torch.from_numpy(known * scale), torch.from_numpy(labels)

    def scores(unknown: Features) -> Features:
        with torch.inference_mode():
            logits: Features = head(torch.from_numpy(unknown * np.float32(scale))).numpy()
        return logits

    if 0 in steps:
        test(0, scores)
    order = batches(np.arange(len(known)), min(_BATCH, len(known)), rng)
    for step in range(1, max(steps) + 1):
        chosen = torch.from_numpy(next(order))
        loss = torch.nn.functional.cross_entropy(head(inputs[chosen]), targets[chosen])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step in steps:
            test(step, scores)
