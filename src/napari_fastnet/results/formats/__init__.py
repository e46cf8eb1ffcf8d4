"""Formats that results are written in for other programs, each a file."""
