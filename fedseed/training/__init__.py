"""Training and prediction: hand-written for the BERT family, generic for everything else."""

from fedseed.training.dp_sgd import DpSgd
from fedseed.training.fit import FitJob, FitResult, can_be_stacked, fit, fit_together, predict
from fedseed.training.generic import set_dropout
from fedseed.training.precision_and_device import Compute, choose
from fedseed.training.trainer import StackingTrainer, Trainer

__all__ = [
    "Compute", "DpSgd", "FitJob", "FitResult", "StackingTrainer", "Trainer", "can_be_stacked",
    "choose", "fit", "fit_together", "predict", "set_dropout",
]  # fmt: skip
