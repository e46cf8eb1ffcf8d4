"""A writer killed at any moment leaves whole blocks, and a run that goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 40
# Forked children begin at once, so that many kills cost little; forking is for
# processes of one thread, which the one that runs the tests is not.
SCRIPT = """
import json, os, signal, sys, time
from pathlib import Path
import numpy as np
from napari_fastnet.core.geometry import Grid
from napari_fastnet.store.format import RunDescription
from napari_fastnet.store.store import open_store

folder, kills = Path(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(0)

def opened(fresh=False):
    # Blocks of 256 KB take long enough to be hit half-written.
    grid = Grid((0, 0), (1, 1), (1024, 1024))
    return open_store(folder, RunDescription({}, grid, (1.0, 1.0), 256), fresh=fresh)

def write_forever(number, told):
    rng = np.random.default_rng(number)
    while True:
        # The description, too, is hit half-replaced.
        store = opened(fresh=rng.random() < 0.2)
        with store.writing():
            for block in store.blocks():
                store.write(block, np.full((256, 256), number, np.float32))
                os.write(told, b".")

notes, torn, found, litter = [], 0, set(), 0
for number in range(kills):
    hear, tell = os.pipe()
    child = os.fork()
    if child == 0:
        write_forever(number, tell)
    if number % 2:  # the others are hit while they open the run
        os.read(hear, 1)
    time.sleep(rng.uniform(0, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(hear)
    os.close(tell)
    litter += len([*folder.glob("c/*/.*")])
    store = opened()
    notes += store.notes
    values = store.read()
    for block in store.blocks():
        seen = np.unique(values[block.slices])
        torn += len(seen) > 1
        found |= set(seen[~np.isnan(seen)].tolist())
left = [path.name for path in folder.parent.iterdir()]
print(json.dumps({"notes": notes, "torn": int(torn), "found": len(found),
                  "litter": litter, "left": left}))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_no_kill_tears_a_block_or_damages_the_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "run.zarr"), str(KILLS)],
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(done.stdout)
    assert said["notes"] == []
    assert said["torn"] == 0
    assert said["left"] == ["run.zarr"]
    # And the kills did hit writers at work.
    assert said["found"] > KILLS // 4
    assert said["litter"] > 0
