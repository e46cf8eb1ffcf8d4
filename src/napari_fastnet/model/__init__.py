"""Model bundles: description, card, models that users added."""
