"""What parameters are for, by their names in the lean BERT and in Hugging Face's models."""

import re
from typing import Literal

from fedseed.models.architecture import Shapes

Target = Literal["all", "encoder", "attention", "head"]
TARGETS: tuple[Target, ...] = ("all", "encoder", "attention", "head")
_HEADS = ("classifier", "pre_classifier", "score", "classification_head", "logits_proj")
"""First part of the names of a classification head."""
_NO_FEATURES = ("position", "token_type", "wpe")
_EMBEDDINGS = ("embed", "wte.")
_ATTENTION = re.compile(r"attention|attn|\b[qkvo](uery|ey|alue)?(_lin|_proj|ut_lin)?\.weight$")


def head_of(shapes: Shapes) -> Shapes:
    """The classification head's parameters."""
    return {name: shape for name, shape in shapes.items() if name.partition(".")[0] in _HEADS}


def matrices_of(shapes: Shapes, target: Target) -> Shapes:
    """Matrices outside of the head, but for those of positions and segments.

    Args:
        shapes: of all parameters.
        target: ``all``, those of the ``encoder`` (no embedding), of its ``attention``, or for the
            ``head`` none at all.
    """
    head = head_of(shapes)
    return {
        name: shape
        for name, shape in shapes.items()
        if len(shape) == 2
        and name.endswith("weight")
        and name not in head
        and not any(word in name for word in _NO_FEATURES)
        and _is_of(name, target)
    }


def _is_of(name: str, target: Target) -> bool:
    if target == "head":
        return False
    if target == "attention":
        return _ATTENTION.search(name) is not None
    return target == "all" or not any(word in name for word in _EMBEDDINGS)
