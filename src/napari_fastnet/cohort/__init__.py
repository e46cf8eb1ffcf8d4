"""Slides, one or many, the folders of their results, and their report."""
