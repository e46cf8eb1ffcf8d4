"""Outlines and masks of other programs, and the files of a slide's truth."""
