#!/usr/bin/env bash
# Writes the versions and hashes that the containers install. Usage: lock.sh TORCH, called
# by `make lock`; the same versions can be had from any index, so no address is written.
set -euo pipefail
torch=$1
cd "$(dirname "$0")/.."

extras=cluster,openslide,openvino,parquet,remote,train
version=3.12
lock=containers/requirements.lock
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
echo "$torch" >"$place/constraints.txt"
.venv/bin/python -c 'import tomllib
print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
    >"$place/build.in"
mapfile -t options < <(printf -- '--extra\n%s\n' ${extras//,/ })
.venv/bin/uv pip compile --quiet --no-header --no-annotate --generate-hashes \
    --no-emit-index-url --no-emit-find-links --python-version "$version" \
    --python-platform x86_64-manylinux_2_28 --constraint "$place/constraints.txt" \
    "${options[@]}" pyproject.toml "$place/build.in" --output-file "$place/lock"
{
    echo "# napari-fastnet[$extras] and what builds it, on Python $version and x86_64 Linux."
    echo "# Written by \`make lock\`; \`make lock\` again after a change of pyproject.toml."
    cat "$place/lock"
} >"$place/whole"
mv "$place/whole" "$lock"
grep -c "==" "$lock"
