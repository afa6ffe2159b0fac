"""Differentially private training by clipped and noised gradients (DP-SGD)."""

from fedseed.training.dp_sgd.mechanism import DpSgd, Mechanism, poisson_sample, sampling_rate

__all__ = ["DpSgd", "Mechanism", "poisson_sample", "sampling_rate"]
