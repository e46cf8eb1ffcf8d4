"""The errors that users see: each names the value, the rule and the remedy."""

from __future__ import annotations


class FastNetError(Exception):
    """Base of every error this package raises on purpose; one line of text."""


class OptionError(FastNetError, ValueError):
    """An option lies outside what is allowed."""


class SlideNotFoundError(FastNetError, FileNotFoundError):
    """The slide's file is missing."""


class SlideFormatError(FastNetError, ValueError):
    """The file is no readable slide: of another kind, truncated or corrupt."""


class TileReadError(FastNetError, OSError):
    """A part of an otherwise readable slide cannot be decoded."""


class UnreadableSlideError(FastNetError, OSError):
    """Too little of a slide can be decoded for a result."""


class DriveError(FastNetError, OSError):
    """The drive or the network refuses to give a slide's bytes; nothing is damaged."""

    @classmethod
    def reading(cls, path: object, error: OSError) -> DriveError:
        """Return the error of a slide's file that the system cannot read."""
        return cls(
            f"{path}: cannot be read ({error.strerror or error}); check the drive or the "
            "network and start again"
        )


class SpacingError(FastNetError, ValueError):
    """The slide's µm/px is unknown or absurd, and is never guessed."""


class BundleError(FastNetError, ValueError):
    """A model bundle is missing, damaged or of another kind."""


class MaskError(FastNetError, ValueError):
    """A mask does not fit the slide it is meant for."""


class AnnotationError(FastNetError, ValueError):
    """An annotation file cannot be understood."""


class DataError(FastNetError, ValueError):
    """Training or evaluation data are missing, mislabelled or of a wrong size."""


class StoreError(FastNetError, ValueError):
    """A stored run is damaged or belongs to other work."""


class OutputError(FastNetError, OSError):
    """A result cannot be written."""


class BusyError(OutputError):
    """Another process is writing the same result."""


class DependencyError(FastNetError, ImportError):
    """An optional package is needed and not installed."""


class DetectionError(FastNetError):
    """Inference failed; deliberately no RuntimeError, which GUI workers swallow."""


class ReplayError(FastNetError):
    """A repeated run found something else than the first."""
