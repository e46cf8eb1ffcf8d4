#!/usr/bin/env bash
# Tests the plugin with one version of napari, in an environment of its own. Usage:
# test_napari.sh PYTHON TORCH VERSION [pytest's words...], called by `make test-napari`.
# VERSION is that of a release, or --pre for the newest that can be had.
set -euo pipefail
python=$1
torch=$2
napari=$3
shift 3
cd "$(dirname "$0")/.."

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export NAPARI_CONFIG="$place/settings.yaml"
"$python" -m venv "$place/env"
pip_install() { "$place/env/bin/python" -m pip install --quiet "$@"; }
pip_install --upgrade "pip>=25.1"
pip_install "$torch"
if [ "$napari" = --pre ]; then
    pip_install ".[openslide,train]" --group test
    pip_install --upgrade --pre napari # of napari alone, not of all that it needs
else
    pip_install ".[openslide,train]" --group test "napari==$napari"
fi
"$place/env/bin/python" -m pip check
"$place/env/bin/python" -c 'import napari; print("napari", napari.__version__)'
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
screen=()
if [ "$(uname)" = Linux ]; then
    export QT_QPA_PLATFORM=xcb
    screen=(xvfb-run -a -s "-screen 0 1280x1024x24 +extension GLX")
fi
# not from src: what is installed is what is tested
${screen[@]+"${screen[@]}"} "$place/env/bin/python" -m pytest tests/plugin "$@"
