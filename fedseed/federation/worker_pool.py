"""Worker processes of one thread each, and what happens when one dies or takes too long.

Messages and contexts travel as bytes through a pipe, a large payload beside its message;
nothing is pickled.
"""

import contextlib
import math
import os
import signal
import time
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait

from fedseed.config import RunConfig
from fedseed.errors import FedseedError, RunError
from fedseed.federation.executors import Executor, Result, Task, answer
from fedseed.federation.messages import from_parts, size_of_parts, to_parts
from fedseed.federation.workers import worker_context

_READY = b"ready"
_WAIT = 0.2
"""Seconds to wait for a worker at most, before looking for those that died."""


class _Worker:
    """One worker process and what it is doing."""

    def __init__(self, config: RunConfig) -> None:
        context = worker_context()
        self.link, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, config.to_json()), daemon=True)
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
        patience = max(0.0, min(_WAIT, *map(self._left, self._workers)))
        ready = wait(busy, timeout=patience) if busy else []
        for place, worker in enumerate(self._workers):
            outcome = self._look_at(place, worker, worker.link in ready)
            if outcome is not None:
                self._feed()
                yield outcome
        self._feed()

    def _left(self, worker: _Worker) -> float:
        """Seconds that a worker has left for its task."""
        limit, task = self._config.client_timeout, worker.task
        if limit is None or task is None or not (task.timed and worker.ready):
            return math.inf
        return worker.started + limit - time.monotonic()

    def _look_at(self, place: int, worker: _Worker, ready: bool) -> tuple[str, Result] | None:
        task = worker.task
        if task is None:
            return None
        if ready:
            try:
                result = worker.take()
            except (EOFError, OSError):
                return self._bury(place, worker, task)
            return None if result is None else (worker.task_id, result)
        if self._left(worker) > 0:
            return None
        self._replace(place, worker)
        error = TimeoutError(f"took over {self._config.client_timeout:g} s")
        return worker.task_id, Result(task, error=error)

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
    from fedseed.data.clients import open_clients
    from fedseed.federation.client_app import client_app

    config = RunConfig.from_json(config_json)
    app = client_app(config)
    with contextlib.suppress(FedseedError):  # the first client to need the data says what is wrong
        open_clients(config)
    link.send_bytes(_READY)  # from here on the time is the client's own
    while True:
        try:
            message = from_parts(link.recv_bytes(), link.recv_bytes())
            reply, context = answer(app, message, link.recv_bytes())
            for part in (*to_parts(reply), context):
                link.send_bytes(part)
        except (EOFError, OSError):
            return
