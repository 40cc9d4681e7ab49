#!/usr/bin/env bash
# The tarball of `meson dist`, of a build folder: it configures, which takes every source that meson.build names, and what it
# builds passes the first suite; the data of the tests are in it.
set -euo pipefail
build=$(realpath "$1")
top=$(realpath "$(dirname "$0")/../..")
if [ ! -e "$top/.git" ]; then
    echo "this is a tarball already"
    exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

meson dist -C "$build" --no-tests --allow-dirty >/dev/null
tar xf "$build"/meson-dist/fim-toolkit-*.tar.xz -C "$scratch"
cd "$scratch"/fim-toolkit-*
git -C "$top" ls-files tests/data tests/fuzz/corpus notebooks | while read -r file; do
    [ -e "$file" ] || { echo "$file is not in the tarball"; exit 1; }
done
meson setup build -Dbuildtype=release -Dtests=enabled >/dev/null
ninja -C build test-base >/dev/null
meson test -C build --no-rebuild base
