"""Widgets that panels are made of."""
