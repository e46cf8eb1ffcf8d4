"""Probabilities on disk, resumable."""
