"""Samplers and handles over any trained generator."""
