"""Robust optimal transport between two small sets, as a second-order cone programme.

Balaji et al. 2020, arXiv:2010.05862: both marginals may leave the uniform weights a by sum (a - w)^2 / a <= 2 rho,
which is mean (m w - 1)^2 / 2 <= rho for the weights of m samples, the ball of `robust_weights`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from genkit.core.errors import EvaluationError
from genkit.evaluation.functional.matrices import Features, as_pair


@dataclass(frozen=True)
class RobustTransport:
    """An optimum.

    Attributes:
        value: the cost.
        plan: (n, m) float64, sums to one unless mass may be lost.
        x_marginal, y_marginal: (n,), (m,), the mass that each sample keeps.
    """

    value: float
    plan: Tensor
    x_marginal: Tensor
    y_marginal: Tensor

    @property
    def x_weights(self) -> Tensor:
        """(n,), one where a sample counts as given, zero where it is taken for junk."""
        return self.x_marginal * len(self.x_marginal)

    @property
    def y_weights(self) -> Tensor:
        """(m,), as `x_weights`."""
        return self.y_marginal * len(self.y_marginal)


def robust_wasserstein(
    x: Features,
    y: Features,
    rho: float,
    *,
    sides: Literal["both", "x"] = "both",
    cost: Literal["squared", "euclidean"] = "squared",
    mass: Literal["unit", "official"] = "unit",
) -> RobustTransport:
    """min <P, C> over plans whose marginals stay in chi-square balls of radius `rho`; exact, for up to ~300 samples.

    Args:
        x, y: (n, d) and (m, d).
        rho: radius, 0 is plain transport; e / (2 (1 - e)) lets a share e of the samples go. The authors' discrete code
            and its figures have no factor one half: their rho is twice this one.
        sides: the sets whose marginals may move.
        cost: squared Euclidean distance, as in the authors' discrete code, or Euclidean.
        mass: "official" is the programme of their solver, which forgets that the plan sums to one: mass shrinks to as
            little as 1 - sqrt(2 rho), and the value is too low.

    Raises:
        EvaluationError: rho negative or not finite, sets that do not fit, cvxpy missing, or no solution.
    """
    if not (rho >= 0 and math.isfinite(rho)):
        raise EvaluationError(f"rho {rho}: the radius of a chi-square ball is 0 or more")
    a, b = as_pair(x, y, 1)
    distance = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    table = (distance.square() if cost == "squared" else distance).cpu().numpy()
    scale = float(table.max()) or 1.0
    plan = _solve(table / scale, rho, sides, mass)
    value = float((plan * table).sum())
    found = torch.from_numpy(plan)
    return RobustTransport(value, found, found.sum(1), found.sum(0))


def _solve(table: np.ndarray, rho: float, sides: str, mass: str) -> np.ndarray:
    cp = _cvxpy()
    n, m = table.shape
    plan = cp.Variable((n, m), nonneg=True)
    rows, columns = cp.sum(plan, axis=1), cp.sum(plan, axis=0)
    held = [_ball(cp, rows, n, rho), _ball(cp, columns, m, rho if sides == "both" else 0.0)]
    if mass == "unit":
        held.append(cp.sum(plan) == 1)
    problem = cp.Problem(cp.Minimize(cp.sum(cp.multiply(plan, table))), held)
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9)
    if plan.value is None:
        raise EvaluationError(f"the solver found no robust transport plan ({problem.status})")
    return np.maximum(plan.value, 0.0)


def _ball(cp: Any, marginal: Any, n: int, rho: float) -> Any:
    if rho == 0:
        return marginal == 1 / n
    return cp.norm(marginal - 1 / n) <= math.sqrt(2 * rho / n)


def _cvxpy() -> Any:
    try:
        import cvxpy
    except ImportError as missing:
        raise EvaluationError("robust transport needs cvxpy: pip install 'genkit[transport]'") from missing
    return cvxpy
