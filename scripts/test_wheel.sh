#!/usr/bin/env bash
# Builds sdist and wheel, installs the wheel into an empty environment, and runs the tests
# of the sdist against it. Usage: test_wheel.sh PYTHON TORCH [pytest's words...], called
# by `make test-wheel`.
set -euo pipefail
python=$1
torch=$2
shift 2
cd "$(dirname "$0")/.."

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
.venv/bin/python -m build --outdir "$place/dist" >/dev/null
tar -xzf "$place"/dist/*.tar.gz -C "$place"
cd "$place"/napari_fastnet-*/
"$python" -m venv .venv
.venv/bin/python -m pip install --quiet --upgrade "pip>=25.1"
.venv/bin/python -m pip install --quiet "$torch"
.venv/bin/python -m pip install --quiet "$(echo "$place"/dist/*.whl)[all,train,experiments]" --group test
.venv/bin/python -m pip check
.venv/bin/napari-fastnet --version
bash scripts/test.sh "$@"
