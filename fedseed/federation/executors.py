"""Where a ClientApp runs: in this process, one client at a time or in groups that train together.

Worker processes are in ``worker_pool``. Tasks and results are Flower messages and serialised
contexts. All executors run the same function on one thread, so that results are the same bits
for any number of workers.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flwr.app import Message
from flwr.clientapp import ClientApp

from fedseed.federation.messages import (
    context_from_bytes,
    context_to_bytes,
    error_reply,
    from_parts,
    size_of_parts,
    to_parts,
)
from fedseed.training import StackingTrainer


@dataclass(frozen=True)
class Task:
    """A message for a client, and the client's serialised context.

    The message is serialised only when it is handed over: the clients of a cohort wait with
    one payload between them.
    """

    message: Message
    context: bytes
    timed: bool = True
    """Whether the time limit of a client applies."""


@dataclass(frozen=True)
class Result:
    """A reply and the context after it; or an error when there was no reply."""

    task: Task
    reply: Message | None = None
    context: bytes = b""
    lengths: tuple[int, int] = (0, 0)
    """Message and reply as they are serialised for the network."""
    error: Exception | None = None


def execute(app: ClientApp, task: Task) -> Result:
    """Run one task; a client that raises replies with an error."""
    down = to_parts(task.message)
    reply, context = answer(app, from_parts(*down), task.context)
    up = to_parts(reply)
    return Result(task, from_parts(*up), context, (size_of_parts(*down), size_of_parts(*up)))


def answer(app: ClientApp, message: Message, context_bytes: bytes) -> tuple[Message, bytes]:
    """A client's reply and its serialised context; one that raises replies with an error."""
    context = context_from_bytes(context_bytes)
    try:
        reply = app(message, context)
    except Exception as error:  # whatever a client does, the round goes on with the rest
        reply = error_reply(message, error)
    return reply, context_to_bytes(context)


class Executor(ABC):
    """Runs tasks in the order in which they were submitted."""

    @abstractmethod
    def submit(self, task_id: str, task: Task) -> None:
        """Queue a task."""

    @abstractmethod
    def finished(self) -> Iterator[tuple[str, Result]]:
        """Yield the results that are ready; may wait a moment."""

    @abstractmethod
    def close(self) -> None:
        """Stop working, at once; queued tasks are lost."""


class InProcess(Executor):
    """Runs a task when its result is asked for."""

    def __init__(self, app: ClientApp) -> None:
        """Use this ClientApp."""
        self._app = app
        self._queue: deque[tuple[str, Task]] = deque()

    def submit(self, task_id: str, task: Task) -> None:
        """See :class:`Executor`."""
        self._queue.append((task_id, task))

    def finished(self) -> Iterator[tuple[str, Result]]:
        """See :class:`Executor`: runs the next task of the queue."""
        if self._queue:
            task_id, task = self._queue.popleft()
            yield task_id, execute(self._app, task)

    def close(self) -> None:
        """See :class:`Executor`."""
        self._queue.clear()


class Stacked(Executor):
    """Runs the queue in groups of threads whose models train together, for a GPU."""

    def __init__(self, app: ClientApp, trainer: StackingTrainer, group: int) -> None:
        """Use a ClientApp that trains with this trainer, for groups of this size."""
        self._app = app
        self._trainer = trainer
        self._group = group
        self._queue: deque[tuple[str, Task]] = deque()

    def submit(self, task_id: str, task: Task) -> None:
        """See :class:`Executor`."""
        self._queue.append((task_id, task))

    def finished(self) -> Iterator[tuple[str, Result]]:
        """See :class:`Executor`: runs the next group of the queue."""
        taken = [self._queue.popleft() for _ in range(min(self._group, len(self._queue)))]
        results: dict[str, Result] = {}

        def run(task_id: str, task: Task) -> Callable[[], None]:
            return lambda: results.update({task_id: execute(self._app, task)})

        self._trainer.run_group([run(*one) for one in taken])
        for task_id, _ in taken:
            yield task_id, results[task_id]

    def close(self) -> None:
        """See :class:`Executor`."""
        self._queue.clear()
