"""Slides that are opened, looked through and closed leave nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = [
    pytest.mark.gui,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "panel" / "plugin_cycles.py"


@pytest.fixture
def small_svs(tmp_path, write_svs):
    """Return a slide of tissue with something dark in it."""
    image = np.full((600, 800, 3), 244, np.uint8)
    image[100:500, 100:700] = (170, 90, 150)
    image[200:400, 200:400] = (120, 60, 120)
    noise = np.random.default_rng(0).integers(-6, 7, image.shape)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return write_svs(tmp_path / "small.svs", image, factors=(1, 4), mpp=1.0)


@pytest.mark.parametrize("closed", ["slide", "window"])
def test_cycles_leave_neither_threads_nor_files(
    tmp_path, small_svs, dark_bundle, closed
):
    states = tmp_path / "states.json"
    command = [sys.executable, str(SCRIPT), "3", "--close", closed]
    command += ["--slide", str(small_svs), "--model", str(dark_bundle)]
    done = subprocess.run(
        [*command, "--json", str(states)],
        capture_output=True,
        text=True,
        timeout=570,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    _, warm, *_, last = json.loads(states.read_text())["states"]
    assert last["cycle"] == 3
    assert last["threads"] <= warm["threads"]
    assert last["files"] <= warm["files"]
