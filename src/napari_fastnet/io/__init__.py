"""The disk: the only package that opens files; no torch, no Qt."""
