"""Formats for other programs, each a file; and the verdicts that come back in them."""
