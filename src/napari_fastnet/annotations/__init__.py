"""Outlines and masks that others drew."""
