"""Training of FastNet."""
