#!/usr/bin/env bash
# Installs the Debian packages named that are missing. Where that is not possible, says
# which command to run and fails; what to do without them is the caller's affair.
set -euo pipefail

if ! command -v dpkg-query >/dev/null; then
    echo "this system has no dpkg; install what corresponds to: $*" >&2
    exit 1
fi
missing=()
for package in "$@"; do
    status=$(dpkg-query --show --showformat '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    [[ $status == ii* ]] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "installing system packages: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    if apt-get update -qq && apt-get install -qq --no-install-recommends "${missing[@]}" >/dev/null
    then
        exit 0
    fi
fi
echo "missing system packages; run: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
exit 1
