"""See genkit.chi_square."""

from genkit.chi_square import PENALTY, ball_penalty, closed_form, normalised, radius, rho_of_share

__all__ = ["PENALTY", "ball_penalty", "closed_form", "normalised", "radius", "rho_of_share"]
