"""State of the work on one slide."""
