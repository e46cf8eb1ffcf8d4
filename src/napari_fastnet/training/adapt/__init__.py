"""Adaptation of a model to a laboratory by a person's corrections."""
