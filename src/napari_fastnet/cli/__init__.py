"""The command line: one thin file a command."""

from napari_fastnet.cli import clock  # noqa: F401  (first: it looks at the time)
