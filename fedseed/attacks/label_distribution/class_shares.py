"""Label inference: a client's class mix, judged by what it sent.

The attacker makes shadow clients of known class mix, turns what they send into features, and
learns to read the mix from them (property inference, Ganju et al. 2018, with a linear model).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ALPHAS = tuple(float(alpha) for alpha in np.logspace(-3, 5, 17))
"""Ridge penalties to choose from, for standardised features."""


def fit_and_estimate(train_features: Floats, train_shares: Floats, features: Floats) -> Floats:
    """Estimate class shares by ridge regression on features of shadow clients.

    Features are standardised by the shadow clients' mean and deviation; the penalty is that of
    ``ALPHAS`` with the least leave-one-out error among shadow clients; estimates are moved to the
    nearest point of the simplex.

    Args:
        train_features: what shadow clients sent, ``(shadows, features)``, at least two of them.
        train_shares: their class shares, ``(shadows, classes)``, rows summing to 1.
        features: what the clients under attack sent, ``(clients, features)``.

    Returns:
        Estimated class shares, ``(clients, classes)``, at least 0 and summing to 1.

    Raises:
        ValueError: shapes do not fit, or a feature is not finite.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), RidgeCV(alphas=ALPHAS))
    model.fit(train_features, train_shares)
    estimated = np.asarray(model.predict(features), dtype=np.float64)
    return to_simplex(estimated.reshape(len(features), train_shares.shape[1]))


def to_simplex(points: Floats) -> Floats:
    """Nearest points whose coordinates are at least 0 and sum to 1 (Duchi et al. 2008, fig. 1).

    Args:
        points: shape ``(points, classes)``.

    Returns:
        The same shape.
    """
    falling = -np.sort(-points, axis=1)
    surplus = (np.cumsum(falling, axis=1) - 1.0) / np.arange(1, points.shape[1] + 1)
    kept = (falling > surplus).sum(axis=1)
    shift = np.take_along_axis(surplus, kept[:, None] - 1, axis=1)
    nearest = np.maximum(points - shift, 0.0)
    return np.asarray(nearest / nearest.sum(axis=1, keepdims=True), dtype=np.float64)


def label_error(estimated: Floats, true: Floats) -> Floats:
    """Total variation distance between estimated and true class shares of each client.

    Half the sum of absolute differences: the share of texts that would have to change class, in
    [0, 1].

    Args:
        estimated: shape ``(clients, classes)``, rows summing to 1.
        true: the same shape.

    Returns:
        Shape ``(clients,)``.

    Raises:
        ValueError: the shapes differ.
    """
    if np.shape(estimated) != np.shape(true):
        raise ValueError("estimated and true class shares have different shapes")
    return np.asarray(np.abs(estimated - true).sum(axis=1) / 2, dtype=np.float64)


def baseline_error(train_shares: Floats, true: Floats) -> Floats:
    """Error of whoever reads nothing and always says the shadow clients' mean class shares.

    Args:
        train_shares: class shares of shadow clients, ``(shadows, classes)``.
        true: those of the clients under attack, ``(clients, classes)``.

    Returns:
        Total variation distances, ``(clients,)``.
    """
    return label_error(np.broadcast_to(train_shares.mean(axis=0), true.shape), true)
