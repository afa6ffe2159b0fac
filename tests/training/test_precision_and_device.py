"""choose: what auto means, by what the processor says of itself."""

import os
import subprocess
import sys

import pytest
import torch

from fedseed.training.precision_and_device import PRECISIONS, Compute, choose


@pytest.mark.parametrize(
    ("amx", "able", "precision"),
    [
        (True, {"cpu_name": "Intel Xeon", "avx512_bf16": True}, "bf16"),
        (False, {"cpu_name": "Intel Xeon", "avx512_bf16": True}, "fp32"),
        (False, {"cpu_name": "AMD EPYC", "avx512_bf16": True}, "bf16"),
        (False, {"cpu_name": "AMD EPYC", "avx512_bf16": False}, "fp32"),
        (False, {"cpu_name": "Neoverse-V2", "bf16": True}, "fp32"),
        (False, {}, "fp32"),
    ],
)
def test_auto_is_bf16_where_that_is_faster(
    monkeypatch: pytest.MonkeyPatch, amx: bool, able: dict[str, object], precision: str
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert choose("auto").precision == precision
    assert choose("fp32").precision == "fp32"
    assert choose("bf16").precision == "bf16"


def test_a_torch_without_capabilities_stays_at_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert choose("auto").precision == "fp32"


@pytest.mark.parametrize("given", [None, "7"])
def test_onednn_keeps_few_kernels_unless_it_was_set(given: str | None) -> None:
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    environment = {key: value for key, value in os.environ.items() if key != name}
    code = f"import os, fedseed.training; print(os.environ['{name}'])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment | ({name: given} if given else {}),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == (given or "200")


def test_only_bf16_on_a_processor_rounds_widths() -> None:
    widths = [Compute(p, d).width_multiple for p in PRECISIONS for d in ("cpu", "cuda:0")]
    assert widths == [1, 1, 8, 1]
