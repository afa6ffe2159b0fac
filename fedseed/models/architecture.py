"""Architecture: the shape of a BERT sequence classifier, and the registry of known ones."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from fedseed.errors import ConfigError

Shapes = dict[str, tuple[int, ...]]
Floats = NDArray[np.float32]
State = dict[str, Floats]
"""Weights by Hugging Face's names."""


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Sizes of a BERT sequence classifier (Devlin et al. 2019), everything a seed must name."""

    name: str
    layers: int
    hidden: int
    heads: int
    intermediate: int
    labels: int = 2
    vocabulary: int = 30_522
    positions: int = 512
    segments: int = 2
    layer_norm_eps: float = 1e-12

    def with_labels(self, labels: int) -> "Architecture":
        """Return the same architecture with another number of classes."""
        return dataclasses.replace(self, labels=labels)

    def shapes(self) -> Shapes:
        """Name and shape of every parameter, in Hugging Face's names and order."""
        hidden, wide = self.hidden, self.intermediate
        shapes: Shapes = {
            "bert.embeddings.word_embeddings.weight": (self.vocabulary, hidden),
            "bert.embeddings.position_embeddings.weight": (self.positions, hidden),
            "bert.embeddings.token_type_embeddings.weight": (self.segments, hidden),
            "bert.embeddings.LayerNorm.weight": (hidden,),
            "bert.embeddings.LayerNorm.bias": (hidden,),
        }
        for layer in range(self.layers):
            prefix = f"bert.encoder.layer.{layer}"
            for part in ("query", "key", "value"):
                _linear(shapes, f"{prefix}.attention.self.{part}", hidden, hidden)
            _linear(shapes, f"{prefix}.attention.output.dense", hidden, hidden)
            _norm(shapes, f"{prefix}.attention.output.LayerNorm", hidden)
            _linear(shapes, f"{prefix}.intermediate.dense", wide, hidden)
            _linear(shapes, f"{prefix}.output.dense", hidden, wide)
            _norm(shapes, f"{prefix}.output.LayerNorm", hidden)
        _linear(shapes, "bert.pooler.dense", hidden, hidden)
        _linear(shapes, "classifier", self.labels, hidden)
        return shapes

    def parameters(self) -> int:
        """Number of parameters."""
        total = 0
        for shape in self.shapes().values():
            size = 1
            for length in shape:
                size *= length
            total += size
        return total

    def fp32_bytes(self) -> int:
        """Bytes of the weights in fp32: what sending the model would cost."""
        return 4 * self.parameters()


def _linear(shapes: Shapes, name: str, rows: int, columns: int) -> None:
    shapes[f"{name}.weight"] = (rows, columns)
    shapes[f"{name}.bias"] = (rows,)


def _norm(shapes: Shapes, name: str, hidden: int) -> None:
    shapes[f"{name}.weight"] = (hidden,)
    shapes[f"{name}.bias"] = (hidden,)


REGISTRY = {
    "bert-tiny": Architecture("bert-tiny", 2, 128, 2, 512),
    "bert-mini": Architecture("bert-mini", 4, 256, 4, 1024),
    "bert-small": Architecture("bert-small", 4, 512, 8, 2048),
    "minilm": Architecture("minilm", 6, 384, 12, 1536),
}
"""Architectures known by name; all share bert-base-uncased's vocabulary."""

CAUSAL = 0
"""The number of classes by which a seed says that it is of a causal language model."""
FROM_PRNG = ("bert-tiny", "bert-mini", "bert-small")
"""Those that a random seed assembles; ``minilm`` starts from published weights."""


def architecture(name: str, labels: int = 2) -> Architecture:
    """Return a registered architecture.

    Raises:
        ConfigError: the name is not registered.
    """
    if name not in REGISTRY:
        raise ConfigError(f"unknown model '{name}': choose from {', '.join(REGISTRY)}")
    return REGISTRY[name].with_labels(labels)
