"""The FastNet panel: one section for each step of the work."""
