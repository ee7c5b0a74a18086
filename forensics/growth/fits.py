"""Curves fitted to a series: flat, line, one step, warm-up; compared by the Bayesian information criterion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fit:
    """One curve: its name, what it leaves unexplained, and its parameters.

    ``at`` is a share of the time, 0…1: where the step is, or the time constant of the warm-up. ``rise`` is in
    the unit of the series: the height of the step, or what the warm-up still comes to from its start.
    """

    name: str
    squares: float
    parameters: int
    at: float = 0.0
    rise: float = 0.0

    def criterion(self, n: int, noise: float) -> float:
        """Schwarz' criterion for Gaussian noise of which no less than ``noise`` is believed; less is better."""
        floor = n * noise * noise
        return n * float(np.log(max(self.squares, floor, 1e-12) / n)) + self.parameters * float(np.log(n))


def fits(x: np.ndarray, y: np.ndarray) -> dict[str, Fit]:
    """Every curve fitted by least squares; ``x`` runs from 0 to 1."""
    return {fit.name: fit for fit in (_flat(y), _line(x, y), _step(x, y), _warm_up(x, y))}


def _flat(y: np.ndarray) -> Fit:
    return Fit("flat", _squares(y - y.mean()), 1)


def _line(x: np.ndarray, y: np.ndarray) -> Fit:
    _, rest, coefficients = _solve(np.column_stack([np.ones_like(x), x]), y)
    return Fit("line", rest, 2, rise=float(coefficients[1]))


def _step(x: np.ndarray, y: np.ndarray) -> Fit:
    """The best place for one step, found from running sums; each side has three samples or more."""
    n = len(y)
    if n < 8:
        return Fit("step", float("inf"), 3)
    k = np.arange(3, n - 2)
    sums, squares = y.cumsum(), (y * y).cumsum()
    left = squares[k - 1] - sums[k - 1] ** 2 / k
    right = (squares[-1] - squares[k - 1]) - (sums[-1] - sums[k - 1]) ** 2 / (n - k)
    best = int(np.argmin(left + right))
    at = int(k[best])
    return Fit(
        "step", float((left + right)[best]), 3, at=float(x[at]), rise=float(y[at:].mean() - y[:at].mean())
    )


def _warm_up(x: np.ndarray, y: np.ndarray) -> Fit:
    """y = a + b (1 - exp(-x / tau)), tau by search: for each tau the rest is linear."""
    best = Fit("warm-up", float("inf"), 3)
    for tau in np.geomspace(0.02, 3.0, 48):
        curve = 1 - np.exp(-x / tau)
        _, rest, coefficients = _solve(np.column_stack([np.ones_like(x), curve]), y)
        if rest < best.squares and coefficients[1] > 0:
            best = Fit("warm-up", rest, 3, at=float(tau), rise=float(coefficients[1]))
    return best


def _solve(matrix: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    coefficients = np.linalg.lstsq(matrix, y, rcond=None)[0]
    rest = y - matrix @ coefficients
    return rest, _squares(rest), coefficients


def _squares(rest: np.ndarray) -> float:
    return float(rest @ rest)
