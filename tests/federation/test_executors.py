"""Worker processes: one that dies is replaced, its task tried once more."""

import os
import signal
import time
from typing import Any

import pytest
from flwr.app import Context, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from fedseed.config import RunConfig
from fedseed.federation.executors import Result, Task
from fedseed.federation.messages import (
    content,
    context_to_bytes,
    from_parts,
    message_to_bytes,
    size_of_parts,
    to_parts,
)
from fedseed.federation.worker_pool import WorkerPool
from fedseed.federation.workers import asks_for_workers
from fedseed.runs.plan import make_plan


@pytest.fixture
def pool(small: dict[str, Any]) -> Any:
    config: RunConfig = make_plan(RunConfig.parse(small)).config
    workers = WorkerPool(config, 1)
    yield workers
    workers.close()


def hello(pid: int) -> Task:
    """A message that asks a client for its partition."""
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 1, 1
    message = Message(RecordDict(), 5, "query", group_id="0")
    context = Context(
        run_id=1, node_id=5, node_config={"partition-id": pid}, state=RecordDict(), run_config={}
    )
    return Task(message, context_to_bytes(context))


def wait_for(pool: WorkerPool, count: int) -> dict[str, Result]:
    results: dict[str, Result] = {}
    end = time.monotonic() + 60
    while len(results) < count and time.monotonic() < end:
        results.update(pool.finished())
    return results


def test_a_killed_worker_is_replaced_and_its_task_tried_again(pool: WorkerPool) -> None:
    pool.submit("a", hello(0))
    os.kill(pool._workers[0].process.pid or 0, signal.SIGKILL)
    result = wait_for(pool, 1)["a"]
    assert result.error is None
    assert result.reply is not None
    assert result.reply.has_content()


def test_a_task_whose_worker_dies_twice_is_given_up(pool: WorkerPool) -> None:
    pool.submit("a", hello(0))
    os.kill(pool._workers[0].process.pid or 0, signal.SIGKILL)
    while "a" not in pool._retried:
        assert not list(pool.finished())
    os.kill(pool._workers[0].process.pid or 0, signal.SIGKILL)
    result = wait_for(pool, 1)["a"]
    assert result.error is not None
    assert "died twice" in str(result.error)
    pool.submit("b", hello(0))
    assert wait_for(pool, 1)["b"].error is None


def test_a_worker_that_died_idle(pool: WorkerPool) -> None:
    pool.submit("a", hello(0))
    wait_for(pool, 1)
    pool._workers[0].process.kill()
    pool._workers[0].process.join()
    pool.submit("b", hello(1))
    assert wait_for(pool, 1)["b"].error is None


@pytest.mark.parametrize(
    "length",
    [
        0,
        1,
        100,
        127,
        128,
        16_000,
        *range(16_300, 16_390, 9),
        20_000,
        2_097_100,
        3_000_000,
        17_544_724,
    ],
)
def test_parts_of_a_message(length: int) -> None:
    """Together they are the message, and its length is known without serialising it."""
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 1, 1
    message = Message(content(bytes(length)), 5, "train", group_id="1")
    rest, payload = to_parts(message)
    assert len(payload) == length
    assert len(rest) < 200
    assert size_of_parts(rest, payload) == len(message_to_bytes(message))
    assert message_to_bytes(from_parts(rest, payload)) == message_to_bytes(message)


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        ("", True),
        ("--clients 10 --workers 2", True),
        ("--workers 16", True),
        ("--workers 1", False),
        ("--clients 3 --workers=1", False),
        ("--engine ray", False),
        ("--engine local", True),
        ("--device cuda:1 --clients 3", False),
        ("--dry-run", False),
        ("--help", False),
        ("--config run.toml", False),
        ("--resume=results/x", False),
    ],
)
def test_which_command_lines_ask_for_workers(words: str, asks: bool) -> None:
    assert asks_for_workers(words.split()) is asks
