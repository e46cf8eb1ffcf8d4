"""Threads beside the window."""
