"""Layers that the plugin shows."""
