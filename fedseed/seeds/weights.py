"""Weights to extract a seed from: a Hugging Face folder or id, or a safetensors file."""

from pathlib import Path

from fedseed.errors import ConfigError
from fedseed.models.architecture import CAUSAL, REGISTRY, State
from fedseed.models.causal import is_causal
from fedseed.models.head import class_table
from fedseed.models.registry import find_model
from fedseed.models.taking import published_weights
from fedseed.models.tensor_names import named_as_today
from fedseed.models.weight_files import headers, read_tensors
from fedseed.seeds.codec import assemble
from fedseed.seeds.kinds.pretrained import pretrained_seed


def open_weights(source: str, model: str | None, key: int = 0) -> tuple[str, int, State]:
    """Find weights and the architecture that a seed of them names.

    Args:
        source: ``minilm``, a Hugging Face folder or id, or a ``.safetensors`` file.
        model: the architecture of a ``.safetensors`` file, such as ``bert-tiny``.
        key: of a classification head that the weights lack.

    Returns:
        The architecture's name, its number of classes (0: a causal language model), and the
        weights by name.

    Raises:
        ConfigError: the weights or their architecture cannot be found.
    """
    if source.endswith(".safetensors"):
        if model is None:
            raise ConfigError(f"--model is missing: say which architecture {source} is of")
        weights = read_weights(Path(source))
        if model not in REGISTRY and is_causal(model):
            return model, CAUSAL, weights
        head = next((w for name, w in weights.items() if name == "classifier.weight"), None)
        return model, 2 if head is None or not head.ndim else len(head), weights
    if model is not None:
        raise ConfigError("--model is for a .safetensors file: a folder says itself what it is")
    if is_causal(source):
        return source, CAUSAL, published_weights(find_model(source, CAUSAL)).weights
    labels = max(2, len(class_table(source)))
    shapes = find_model(source, labels).shapes()
    return source, labels, assemble(pretrained_seed(source, labels, key), shapes)


def read_weights(path: Path) -> State:
    """Tensors of a safetensors file, as float32, layer norms under their present names.

    Raises:
        ConfigError: the file cannot be read, or its weights are quantised.
    """
    what = f"the weights in {path}"
    stored = headers([path], what)
    floats = [name for name, part in stored.items() if part.is_float]
    tensors = read_tensors(stored, floats, what)
    return {named_as_today(name): part.numpy() for name, part in tensors.items()}
