#!/usr/bin/env bash
# Builds .venv with everything that running, testing and linting need.
# Usage: install.sh PYTHON TORCH, called by `make install`.
set -euo pipefail
python=$1
torch=$2
cd "$(dirname "$0")/.."

if ! command -v "$python" >/dev/null; then
    echo "there is no $python here; install Python 3.11 or newer, or name one: make PYTHON=..." >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "$("$python" --version) is too old; name Python 3.11 or newer: make PYTHON=..." >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    bash scripts/system_packages.sh "python$version-venv"
fi

# Twice quiet: errors are shown, remarks about the machine's own pip settings are not.
pip_install() { .venv/bin/python -m pip install --quiet --quiet "$@"; }

echo "setting up .venv; a few minutes the first time"
"$python" -m venv .venv
pip_install --upgrade "pip>=25.1" # the first that knows dependency groups
echo "  torch"
if ! pip_install "$torch"; then
    echo "no $torch for this Python; taking the newest torch" >&2
    pip_install torch
fi
echo "  napari-fastnet and what it needs"
pip_install --editable ".[openslide,train]" --group test --group lint
# Of the extra "experiments" without what it asks for: torchvision, which nothing here
# uses, would bring another build of torch.
pip_install --no-deps "pytorchcv>=0.0.67"
