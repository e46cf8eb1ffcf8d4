"""Evaluation on patches and on slides."""
