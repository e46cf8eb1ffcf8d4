#!/usr/bin/env bash
# Runs pytest; what is given goes on to it. Called by `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."

# A run neither reads nor changes the user's napari settings.
settings=$(mktemp -d)
trap 'rm -rf "$settings"' EXIT
export NAPARI_CONFIG="$settings/settings.yaml"

# The whole suite on all cores; many tests wait, for a timer or a process, so one more.
if [ $# -eq 0 ]; then
    set -- --numprocesses $(($(getconf _NPROCESSORS_ONLN) + 1)) --dist loadgroup
fi

# The networks of tests are tiny: threads that wait for each other cost more than they give.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

options=()
if [ -d tests/plugin ]; then
    window='from qtpy.QtWidgets import QApplication; QApplication([])'
    screen=()
    if [ "$(uname)" = Linux ]; then
        # Windows that nobody sees: "offscreen" has no OpenGL, so napari needs Xvfb.
        # pytest-xvfb starts one for each process.
        bash scripts/system_packages.sh xvfb xauth libgl1 libegl1 libdbus-1-3 \
            libfontconfig1 libglib2.0-0 libxkbcommon-x11-0 libxcb-cursor0 \
            libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 || true
        if command -v xvfb-run >/dev/null; then
            export QT_QPA_PLATFORM=xcb
            screen=(xvfb-run -a)
        fi
    fi
    if ! ${screen[@]+"${screen[@]}"} .venv/bin/python -c "$window" >/dev/null 2>&1; then
        echo "Qt cannot open a window here: the plugin's tests are left out" >&2
        options=(-p no:pytest-qt --ignore tests/plugin)
    fi
fi
.venv/bin/python -m pytest ${options[@]+"${options[@]}"} "$@"
