"""Detection on one slide."""
