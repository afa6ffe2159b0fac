"""How training computes: precision, device and compilation."""

import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fedseed.errors import ConfigError

# oneDNN keeps a compiled kernel for each of the last 1,024 shapes of bf16 matrices: fewer need less
# memory. It looks at this when it multiplies for the first time.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "200")

Precision = Literal["fp32", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


@dataclass(frozen=True)
class Compute:
    """Precision and device of one training run, decided."""

    precision: Precision = "fp32"
    """Of activations and products; weights and optimiser states are always fp32."""
    device: str = "cpu"
    """``cpu`` or ``cuda:i``."""
    compile: bool = False
    """Whether models without a lean form go through ``torch.compile``."""
    lanes: int = 1
    """Parts of a batch that a lean model on a CPU works on side by side, see
    :mod:`fedseed.training.lanes`."""

    @property
    def dtype(self) -> torch.dtype:
        """Precision as torch's type."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    @property
    def few_shapes(self) -> bool:
        """Whether widths and numbers of texts and tokens are rounded up.

        For bf16 on a CPU oneDNN compiles a kernel for every shape of matrices, and keeps it.
        """
        return self.precision == "bf16" and self.device == "cpu"

    @property
    def width_multiple(self) -> int:
        """What widths of batches are rounded up to, see :func:`fedseed.data.tokens.widths`."""
        return 8 if self.few_shapes else 1


def choose(precision: str = "auto", device: str = "cpu", compile_models: bool = False) -> Compute:
    """Decide what ``auto`` means on this machine.

    bf16 is taken where it is faster: on CUDA, on processors with AMX tiles, and on AMD's with
    AVX-512 bf16. Intel's that have AVX-512 bf16 but no AMX are left at fp32, which is faster on
    them (docs/decisions/precision.md).

    Raises:
        ConfigError: a CUDA device that this machine does not have.
    """
    if device == "auto":
        device = "cuda:0" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda"):
        number = int(device.partition(":")[2] or 0)
        if number >= torch.cuda.device_count():
            raise ConfigError(
                f"--device {device}: torch sees {torch.cuda.device_count()} CUDA device(s) here; "
                "use --device cpu, or install a CUDA build of torch"
            )
        device = f"cuda:{number}"
    if precision == "auto":
        precision = "bf16" if device != "cpu" or _bf16_is_faster() else "fp32"
    return Compute("bf16" if precision == "bf16" else "fp32", device, compile_models)


def on_device(numbers: NDArray[Any], device: torch.device) -> Tensor:
    """The numbers as a tensor; on their way to a GPU nothing waits for what it is working on."""
    tensor = torch.from_numpy(np.ascontiguousarray(numbers))
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def _bf16_is_faster() -> bool:
    """Whether this processor multiplies matrices faster in bf16, from what it says of itself."""
    # Older versions of torch do not say: with them AMD's processors stay at fp32.
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    amd = str(able.get("cpu_name", "")).startswith("AMD")
    return torch.cpu._is_amx_tile_supported() or bool(amd and able.get("avx512_bf16"))
