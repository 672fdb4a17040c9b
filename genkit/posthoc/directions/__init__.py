"""Interpretable directions in the latent space of any generator."""
