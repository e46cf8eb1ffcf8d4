"""The example that scripts the panel runs, and its own checks hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.gui, pytest.mark.slow]

SCRIPT = Path(__file__).parents[3] / "examples" / "script_the_panel.py"


def test_the_script_goes_through_the_whole_work(tmp_path, dark_bundle) -> None:
    settings = str(tmp_path / "napari.yaml")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), "--model", str(dark_bundle)],
        env={**os.environ, "NAPARI_CONFIG": settings},
        capture_output=True,
        text=True,
        timeout=570,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "opened again: 7 layers, equal" in done.stdout
