"""Find tumours in whole-slide images with FastNet; research use only."""

from __future__ import annotations

__version__ = "0.1.0"
