"""Training: systems know the maths, this folder moves the weights."""

from genkit.training.entry import train

__all__ = ["train"]
