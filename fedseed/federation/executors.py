"""Where a ClientApp runs: in this process, or in worker processes.

Tasks and results are serialised Flower messages and contexts, nothing is pickled between
the processes. Both executors run the same function on one thread, so that results are the
same bits for any number of workers.
"""

import contextlib
import os
import signal
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

from flwr.app import Message
from flwr.clientapp import ClientApp

from fedseed.config import RunConfig
from fedseed.errors import FedseedError, RunError
from fedseed.federation.wire import (
    context_from_bytes,
    context_to_bytes,
    error_reply,
    from_parts,
    message_from_bytes,
    message_to_bytes,
    size_of_parts,
    to_parts,
)
from fedseed.federation.workers import worker_context
from fedseed.training import StackingTrainer

_READY = b"ready"
_WAIT = 0.2
"""Seconds to wait for a worker before looking at the clock again."""


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
    message = message_to_bytes(task.message)
    reply, context = _answer(app, message_from_bytes(message), task.context)
    answer = message_to_bytes(reply)
    return Result(task, message_from_bytes(answer), context, (len(message), len(answer)))


def _answer(app: ClientApp, message: Message, context_bytes: bytes) -> tuple[Message, bytes]:
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
        found: dict[str, Result] = {}

        def run(task_id: str, task: Task) -> Callable[[], None]:
            return lambda: found.update({task_id: execute(self._app, task)})

        self._trainer.run_group([run(*one) for one in taken])
        for task_id, _ in taken:
            yield task_id, found[task_id]

    def close(self) -> None:
        """See :class:`Executor`."""
        self._queue.clear()


class _Worker:
    """One worker process and what it is doing."""

    def __init__(self, config: RunConfig) -> None:
        context = worker_context()
        self.link, other = context.Pipe()
        self.process = context.Process(
            target=_work, args=(other, config.model_dump_json()), daemon=True
        )
        self.process.start()
        other.close()
        self.task_id = ""
        self.sent_bytes = 0
        self.task: Task | None = None
        self.ready = False
        self.started = 0.0

    def give(self, task_id: str, task: Task) -> None:
        """Start a task."""
        self.task_id, self.task, self.started = task_id, task, time.monotonic()
        parts = to_parts(task.message)
        self.sent_bytes = size_of_parts(*parts)
        for part in (*parts, task.context):
            self.link.send_bytes(part)

    def take(self) -> Result | None:
        """Receive the result, or None when the process says that it is ready to begin.

        Raises:
            EOFError, OSError: the process has died.
        """
        assert self.task is not None
        data = self.link.recv_bytes()
        if data == _READY:
            self.ready, self.started = True, time.monotonic()
            return None
        payload, context = self.link.recv_bytes(), self.link.recv_bytes()
        lengths = self.sent_bytes, size_of_parts(data, payload)
        result = Result(self.task, from_parts(data, payload), context, lengths)
        self.task = None
        return result

    def stop(self) -> None:
        """End the process without waiting for its task."""
        self.process.kill()
        self.process.join()
        self.link.close()


class WorkerPool(Executor):
    """Runs tasks in worker processes of one thread each.

    A task that takes longer than the time limit ends with TimeoutError and its worker is
    replaced. A worker that dies (killed, out of memory) has its task tried once more on a new
    worker.
    """

    def __init__(self, config: RunConfig, workers: int) -> None:
        """Start the workers.

        Args:
            config: the run's configuration; ``client_timeout`` is the time limit.
            workers: number of processes.
        """
        self._config = config
        self._queue: deque[tuple[str, Task]] = deque()
        self._retried: set[str] = set()
        self._workers = [_Worker(config) for _ in range(workers)]

    def submit(self, task_id: str, task: Task) -> None:
        """See :class:`Executor`."""
        self._queue.append((task_id, task))
        self._feed()

    def _feed(self) -> None:
        for place, worker in enumerate(self._workers):
            if worker.task is None and self._queue:
                try:
                    worker.give(*self._queue[0])
                except OSError:  # it died while idle
                    worker.stop()
                    self._workers[place] = _Worker(self._config)
                    self._workers[place].give(*self._queue[0])
                self._queue.popleft()

    def finished(self) -> Iterator[tuple[str, Result]]:
        """See :class:`Executor`: waits up to 0.2 s for the next result."""
        busy: list[Connection] = [w.link for w in self._workers if w.task is not None]
        ready = wait(busy, timeout=_WAIT) if busy else []
        for place, worker in enumerate(self._workers):
            outcome = self._look_at(place, worker, worker.link in ready)
            if outcome is not None:
                self._feed()
                yield outcome
        self._feed()

    def _look_at(self, place: int, worker: _Worker, ready: bool) -> tuple[str, Result] | None:
        task, limit = worker.task, self._config.client_timeout
        if task is None:
            return None
        if ready:
            try:
                result = worker.take()
            except (EOFError, OSError):
                return self._bury(place, worker, task)
            return None if result is None else (worker.task_id, result)
        if limit is None or not (worker.ready and task.timed):
            return None
        if time.monotonic() - worker.started > limit:
            self._replace(place, worker)
            return worker.task_id, Result(task, error=TimeoutError(f"took over {limit:g} s"))
        return None

    def _bury(self, place: int, worker: _Worker, task: Task) -> tuple[str, Result] | None:
        """Replace a dead worker; try its task again once."""
        self._replace(place, worker)
        if worker.task_id in self._retried:
            return worker.task_id, Result(task, error=RunError("its worker died twice"))
        self._retried.add(worker.task_id)
        self._queue.appendleft((worker.task_id, task))
        self._feed()
        return None

    def _replace(self, place: int, worker: _Worker) -> None:
        worker.stop()
        self._workers[place] = _Worker(self._config)

    def close(self) -> None:
        """See :class:`Executor`."""
        self._queue.clear()
        for worker in self._workers:
            worker.stop()


def _work(link: Connection, config_json: str) -> None:
    """A worker's life: tasks in, results out, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    os.environ["OMP_NUM_THREADS"] = "1"
    from fedseed.data.site import open_site
    from fedseed.federation.client_app import client_app

    config = RunConfig.model_validate_json(config_json)
    app = client_app(config)
    with contextlib.suppress(FedseedError):  # the first client to need the data says what is wrong
        open_site(config)
    link.send_bytes(_READY)  # from here on the time is the client's own
    while True:
        try:
            message = from_parts(link.recv_bytes(), link.recv_bytes())
            reply, context = _answer(app, message, link.recv_bytes())
            for part in (*to_parts(reply), context):
                link.send_bytes(part)
        except (EOFError, OSError):
            return
