"""The coupling figure of robust transport: the matching of two sets of points when 5 % of one are far junk."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from genkit.evaluation.functional.robust_transport import RobustTransport, robust_wasserstein


def ring(n: int, radius: float, rng: torch.Generator) -> Tensor:
    """(n, 2) float64: 8 Gaussians of standard deviation 0.5 on a circle."""
    angle = torch.arange(n) % 8 * (torch.pi / 4)
    centres = radius * torch.stack([angle.cos(), angle.sin()], 1)
    return (centres + 0.5 * torch.randn(n, 2, generator=rng)).double()


def points(picture: Path) -> str:
    """100 points on a ring, 5 of them replaced by a far blob, against 100 on a narrower ring: table and picture."""
    rng = torch.Generator().manual_seed(0)
    x, y = ring(100, 10, rng), ring(100, 5, rng)
    junk = torch.zeros(100, dtype=torch.bool)
    junk[torch.randperm(100, generator=rng)[:5]] = True
    spoilt = x.clone()
    spoilt[junk] = torch.tensor([30.0, 25.0]).double() + torch.randn(5, 2, generator=rng)
    rho = 0.05 / (2 * 0.95)
    lines = ["| cost | clean | 5 % junk | robust, junk side | robust, both sides | weight of junk |", "|---" * 6 + "|"]
    for cost in ("euclidean", "squared"):
        clean, plain = (robust_wasserstein(z, y, 0, cost=cost) for z in (x, spoilt))
        one, both = (robust_wasserstein(spoilt, y, rho, cost=cost, sides=sides) for sides in ("x", "both"))
        values = " | ".join(f"{found.value:.4g}" for found in (clean, plain, one, both))
        lines.append(f"| {cost} | {values} | {one.x_weights[junk].max():.2g} |")
        if cost == "euclidean":
            draw_plans(spoilt, y, {"transport": plain, "robust transport": one}, picture)
    return "\n".join(lines)


def draw_plans(x: Tensor, y: Tensor, found: dict[str, RobustTransport], picture: Path) -> None:
    """Every coupled pair as a line, as strong as the mass on it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(found), figsize=(10, 4.6), sharex=True, sharey=True)
    for axis, (title, at) in zip(axes, found.items(), strict=True):
        for i, j in (at.plan > 1e-4).nonzero().tolist():
            strength = min(1.0, float(at.plan[i, j]) * len(x))
            axis.plot([x[i, 0], y[j, 0]], [x[i, 1], y[j, 1]], color="#888888", lw=0.7, alpha=strength)
        axis.scatter(*x.T, s=6 + 14 * at.x_weights.clamp(max=1.2), color="#d62728", label="5 of 100 are junk", zorder=2)
        axis.scatter(*y.T, s=8, color="#1f77b4", label="the other set", zorder=2)
        axis.set(title=f"{title}: {at.value:.2f}", aspect="equal")
    axes[0].legend(fontsize=8, loc="upper left")
    figure.tight_layout()
    figure.savefig(picture, dpi=90)
