"""Measures of patches, px, slides and lesions."""
