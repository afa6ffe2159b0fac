"""How training computes: precision, device and compilation."""

from dataclasses import dataclass
from typing import Literal

import torch

from fedseed.errors import ConfigError

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Compute:
    """Precision and device of one training run, decided."""

    precision: Precision = "fp32"
    """Of activations and products; weights and optimiser states are always fp32."""
    device: str = "cpu"
    """``cpu`` or ``cuda:i``."""
    compile: bool = False
    """Whether models without a lean form go through ``torch.compile``."""

    @property
    def dtype(self) -> torch.dtype:
        """Precision as torch's type."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32


def choose(precision: str = "auto", device: str = "cpu", compile_models: bool = False) -> Compute:
    """Decide what ``auto`` means on this machine.

    bf16 is taken where the hardware multiplies bf16 matrices in units of their own: AMX tiles
    and CUDA. Processors with AVX-512 bf16 alone are left at fp32, which is faster on them
    (docs/decisions/precision.md).

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
        has_units = device != "cpu" or torch.cpu._is_amx_tile_supported()
        return Compute("bf16" if has_units else "fp32", device, compile_models)
    return Compute("bf16" if precision == "bf16" else "fp32", device, compile_models)
