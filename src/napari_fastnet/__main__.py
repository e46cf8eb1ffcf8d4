"""Run the command line with ``python -m napari_fastnet``."""

from __future__ import annotations

import sys

from napari_fastnet.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
