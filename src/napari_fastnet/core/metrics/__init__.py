"""Metrics of patches, px, slides and lesions, and their intervals."""
