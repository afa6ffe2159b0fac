"""Who trains: at once, or several callers' models together as one stack."""

import threading
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable
from fedseed.models.bert import BertClassifier
from fedseed.recipe import Recipe
from fedseed.training.dp_sgd import DpSgd
from fedseed.training.fit import FitJob, FitResult, can_be_stacked, fit_together, predict
from fedseed.training.precision_and_device import Compute
from fedseed.training.workload import Workload

_SHARE_OF_MEMORY = 0.8
_STACK_ON_CPU = 16


class Trainer:
    """Trains and predicts as a run's options say. Protocols do all their computing with it."""

    def __init__(
        self,
        compute: Compute | None = None,
        dp: DpSgd | None = None,
        workload: Workload | None = None,
    ) -> None:
        """Start.

        Args:
            compute: precision and device; fp32 on the CPU when None.
            dp: for differentially private training; None for the ordinary one.
            workload: limits what may be trained; None for no limit.
        """
        self.compute = compute or Compute()
        self.dp = dp
        self._workload = workload

    def plain(self) -> "Trainer":
        """The same without noise, for texts that are nobody's; what it trains counts as well."""
        return Trainer(self.compute, None, self._workload)

    def fit(self, job: FitJob) -> FitResult:
        """Fine-tune a model in place.

        Raises:
            WireError: the workload's limit is passed.
        """
        self.allow(job.recipe)
        return fit_together([job], self.compute, dp=self.dp)[0]

    def allow(self, recipe: Recipe) -> None:
        """Count a training that begins; of one that is done without :meth:`fit`.

        Raises:
            WireError: the workload's limit is passed.
        """
        if self._workload is not None:
            self._workload.spend(recipe)

    def predict(
        self, model: nn.Module, table: TokenTable, rows: Rows, max_length: int
    ) -> NDArray[np.float32]:
        """Return log-probabilities; see :func:`fedseed.training.fit.predict`."""
        return predict(model, table, rows, max_length, self.compute)


class StackingTrainer(Trainer):
    """Trains the models of several threads together.

    Each client of a group runs in a thread of its own. A call of :meth:`fit` waits until every
    thread of the group has called it or has ended; then all that can be stacked are trained
    as stacks, as large as memory allows. The results are those of training one after another.
    That is how models are trained with differential privacy, whose samples differ in size.
    Outside :meth:`fit` only a few threads work at a time: more would wait for each other.
    """

    def __init__(
        self,
        compute: Compute,
        at_once: int | None = None,
        dp: DpSgd | None = None,
        workers: int = 1,
    ) -> None:
        """Use a precision and a device.

        Args:
            compute: precision and device.
            at_once: largest stack; by free memory when None.
            dp: see :class:`Trainer`.
            workers: threads that work at a time.
        """
        super().__init__(compute, dp)
        self._at_once = at_once
        self._slots = threading.Semaphore(workers)
        self._condition = threading.Condition()
        self._running = 0
        self._waiting: dict[int, FitJob] = {}
        self._done: dict[int, FitResult | Exception] = {}
        self.stacks: list[int] = []
        """Sizes of the stacks that were trained."""

    def run_group(self, work: Sequence[Callable[[], None]]) -> None:
        """Run some functions, one thread each, and return when all have ended.

        The functions must not raise.
        """
        self._running = len(work)
        threads = [threading.Thread(target=self._run_one, args=(one,)) for one in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _run_one(self, work: Callable[[], None]) -> None:
        try:
            with self._slots:
                work()
        finally:
            with self._condition:
                self._running -= 1
                self._condition.notify_all()
                self._train_if_all_wait()

    def fit(self, job: FitJob) -> FitResult:
        """Fine-tune a model in place, together with the other threads' models."""
        if not self._running:
            return super().fit(job)
        self._slots.release()
        try:
            return self._fit_in_stack(job)
        finally:
            self._slots.acquire()

    def _fit_in_stack(self, job: FitJob) -> FitResult:
        with self._condition:
            caller = threading.get_ident()
            self._waiting[caller] = job
            self._train_if_all_wait()
            while caller not in self._done:
                self._condition.wait()
            outcome = self._done.pop(caller)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _train_if_all_wait(self) -> None:
        if not self._waiting or len(self._waiting) < self._running:
            return
        waiting, self._waiting = self._waiting, {}
        torch.set_num_threads(1)
        for group in self._groups(waiting):
            try:
                jobs = [waiting[caller] for caller in group]
                results = fit_together(jobs, self.compute, dp=self.dp)
                self._done.update(zip(group, results, strict=True))
            except Exception as error:  # each caller gets it, and reports it as its own
                self._done.update(dict.fromkeys(group, error))
            self.stacks.append(len(group))
        self._condition.notify_all()

    def _groups(self, waiting: dict[int, FitJob]) -> list[list[int]]:
        """Callers, as thread identifiers, whose models are trained as one stack."""
        groups: list[list[int]] = []
        for caller, job in waiting.items():
            for group in groups:
                first = waiting[group[0]]
                if can_be_stacked(first, job) and len(group) < self._largest(first):
                    group.append(caller)
                    break
            else:
                groups.append([caller])
        return groups

    def _largest(self, job: FitJob) -> int:
        if self.dp is not None:
            return 1
        if self._at_once is not None:
            return self._at_once
        device = torch.device(self.compute.device)
        if device.type == "cpu" or not isinstance(job.model, BertClassifier):
            return _STACK_ON_CPU
        free, _ = torch.cuda.mem_get_info(device)
        return max(1, int(_SHARE_OF_MEMORY * free / stack_bytes(job)))


def stack_bytes(job: FitJob) -> int:
    """Bytes that one model of a stack needs: weights, two moments, gradients, activations."""
    assert isinstance(job.model, BertClassifier)
    shape, recipe = job.model.shape, job.recipe
    weights = 5 * shape.fp32_bytes()
    tokens = recipe.batch_size * recipe.max_length
    per_token = 12 * shape.hidden + 3 * shape.intermediate + 3 * shape.heads * recipe.max_length
    return weights + 4 * tokens * per_token * shape.layers
