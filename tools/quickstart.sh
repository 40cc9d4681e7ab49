#!/usr/bin/env bash
# From nothing to a table and a page of figures: installs what is missing (Debian, Ubuntu), builds, trains the CURVES
# auto-encoder for a short while on generated images, measures how far every approximation is from its exact Fisher blocks,
# and draws the report. Usage: tools/quickstart.sh [FOLDER], by default quickstart/ in the build folder.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build
out=${1:-$build/quickstart}

step() { printf '\n== %s\n' "$*"; }

step "packages"
tools/install-packages.sh

step "build"
[ -f "$build/build.ninja" ] || meson setup "$build" -Dbuildtype=release >/dev/null
ninja -C "$build"

rm -rf "$out/run" "$out/report.h5" "$out/figures"
mkdir -p "$out"

step "train the CURVES auto-encoder, 784-400-200-100-50-25-6-25-50-100-200-400-784, on 8000 generated images"
"$build/fim-train" --net curves --data curves:10000:1 --optimizer adam --epochs 15 -o "$out/run"

step "measure the layers around the code: 51 × 25, 26 × 6, 7 × 25, 26 × 50"
"$build/fim-analyze" "$out/run/checkpoint-15.h5" --data curves:10000:1 --layers 4,5,6,7 --samples 512 \
    -o "$out/report.h5"

step "draw"
"$build/fim-plot" "$out/report.h5" -o "$out/figures"

echo
echo "The report is $out/report.h5; open $PWD/$out/figures/index.html to see its figures."
