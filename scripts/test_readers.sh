#!/usr/bin/env bash
# Opens the exports with the readers that do not go along with the others, in an environment
# of their own. Usage: test_readers.sh PYTHON TORCH, called by `make test-readers`.
set -euo pipefail
python=$1
torch=$2
cd "$(dirname "$0")/.."

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$python" -m venv "$place/env"
pip_install() { "$place/env/bin/python" -m pip install --quiet "$@"; }
pip_install --upgrade "pip>=25.1"
pip_install "$torch"
pip_install ".[openslide,spatialdata]" --group readers
"$place/env/bin/python" -m pip check
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# not from src: what is installed is what is tested
"$place/env/bin/python" -m pytest tests/results/test_asap.py tests/results/test_foreign_geojson.py \
    tests/results/test_spatial_data.py
