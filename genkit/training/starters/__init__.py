"""Recipes for somebody's own images: a look at them, a plan that fits the time, and a file to read and change."""
