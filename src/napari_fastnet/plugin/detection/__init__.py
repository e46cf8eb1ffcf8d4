"""A detection in the background."""
