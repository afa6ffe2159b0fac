"""What a machine has that decides how fast and from what fedseed works, and what it lacks."""

import importlib.util
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from fedseed.data.cache import cache_folder
from fedseed.data.sources import bundled_file
from fedseed.errors import FedseedError
from fedseed.machine import usable_cores
from fedseed.models.published import bundled_folder
from fedseed.results.provenance import cpu_name, kernels, own_version, packages

_EXTRAS = {
    "ray": ("ray", "--engine ray"), "privacy": ("dp_accounting", "--privacy"),
    "tensorboard": ("tensorboard", "--tensorboard"), "docs": ("mkdocs", "make docs"),
}  # fmt: skip
"""What each extra brings, and what for."""
_LITTLE = 2_000_000_000


@dataclass(frozen=True)
class Finding:
    """One thing about the machine."""

    name: str
    value: str
    advice: str = ""
    """What would make it better; empty where nothing is amiss."""


def findings(look_for_hub: bool = False) -> list[Finding]:
    """All that is found, in the order in which it is shown.

    Args:
        look_for_hub: whether the hub is called, which may take seconds.
    """
    found = [Finding("fedseed", own_version()), *_software(), *_hardware(), *_speed()]
    return [*found, *_data(), _hub(look_for_hub), *_extras()]


def to_json(found: list[Finding]) -> dict[str, Any]:
    """The same for another program."""
    return {
        one.name: {"value": one.value, **({"advice": one.advice} if one.advice else {})}
        for one in found
    }


def _software() -> list[Finding]:
    versions = packages()
    wanted = ("python", "torch", "flwr", "transformers")
    return [Finding(name, versions.get(name, "missing")) for name in wanted]


def _hardware() -> list[Finding]:
    memory = psutil.virtual_memory()
    room = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB free"
    few = "give --workers 1: each worker takes 0.5 to 2 GB" if memory.available < _LITTLE else ""
    return [
        Finding("processor", f"{cpu_name()} ({platform.machine()})"),
        Finding("cores", str(usable_cores())), Finding("memory", room, few),
    ]  # fmt: skip


def _speed() -> list[Finding]:
    import torch

    from fedseed.training import choose

    with_kernels = kernels()
    advice = ""
    if not with_kernels.startswith("compiled"):
        advice = (
            "install gcc 12 or newer and fedseed again (x86-64 with AVX2): a step takes three "
            "tenths less time"
        )
    devices = torch.cuda.device_count()
    cuda = f"{devices} CUDA device(s)" if devices else "none (--device cpu)"
    return [
        Finding("kernels", with_kernels, advice),
        Finding("precision", f"{choose('auto').precision}, which auto chooses on the CPU"),
        Finding("gpu", cuda),
    ]  # fmt: skip


def _data() -> list[Finding]:
    folder = cache_folder()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free
    little = "set FEDSEED_CACHE to a folder with room" if free < _LITTLE else ""
    cache = f"{folder}, {size / 1e6:,.0f} MB (tokens can be turned back into text)"
    return [
        Finding("cache", f"{cache}; {free / 1e9:,.0f} GB free", little),
        _bundled("bundled data", bundled_file), _bundled("bundled minilm", bundled_folder),
    ]  # fmt: skip


def _bundled(name: str, find: Callable[[], Path]) -> Finding:
    try:
        find()
    except FedseedError as error:
        return Finding(name, "missing", str(error))
    return Finding(name, "installed")


def _hub(look: bool) -> Finding:
    if look:
        from fedseed.hub import prepare_hub

        prepare_hub()
    offline = os.environ.get("HF_HUB_OFFLINE")
    if offline:
        return Finding("hub", "offline: hub:NAME and ids are looked for in its cache alone")
    return Finding("hub", "reached" if look else "not looked for: give --hub")


def _extras() -> list[Finding]:
    found = []
    for extra, (module, what_for) in _EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        advice = "" if there else f"pip install 'fedseed[{extra}]' for {what_for}"
        found.append(Finding(f"extra {extra}", "installed" if there else "not installed", advice))
    return found
