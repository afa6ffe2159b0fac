"""Work on parts of a batch side by side, one thread each.

How a batch is cut, and in which order its parts are summed up, is decided by the number of lanes
alone: the results are the same however many cores there are.
"""

import functools
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

LANES = 2
"""Of a model that has the machine to itself: as many as the smallest machines have cores."""
_Result = TypeVar("_Result")


def side_by_side(work: Callable[[int], _Result], lanes: int) -> list[_Result]:
    """Call a function with the number of every lane, each in a thread that has no other threads.

    Args:
        work: is given a lane's number, from 0; a single lane's work is done by the caller.
        lanes: at least 1.

    Returns:
        What the calls returned, by lane. What one raised is raised here.
    """
    if lanes == 1:
        return [work(0)]
    return list(_threads(os.getpid(), lanes).map(work, range(lanes)))


def sum_in_order(parts: Iterable[Tensor]) -> Tensor:
    """The lanes' sum, from the first lane on."""
    return functools.reduce(torch.add, parts)


@functools.cache
def _threads(process: int, lanes: int) -> ThreadPoolExecutor:
    """Threads of one process: a fork has none of its parent's."""
    del process
    return ThreadPoolExecutor(lanes, "lane", initializer=_alone)


def _alone() -> None:
    """Have torch compute on this thread alone."""
    torch.set_num_threads(1)
