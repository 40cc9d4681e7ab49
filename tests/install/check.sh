#!/usr/bin/env bash
# What `meson install` gives, of a build folder: every tool with its page and completions, headers that stand alone, and a
# library that an example program is compiled with by pkg-config, whose numbers are those of fim-analyze and of NumPy.
set -euo pipefail
build=$(realpath "$1")
top=$(realpath "$(dirname "$0")/../..")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

meson install -C "$build" --no-rebuild --quiet --destdir "$scratch/root"
pc=$(find "$scratch/root" -name fim.pc)
prefix=$scratch/root$(sed -n 's/^prefix=//p' "$pc")
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$scratch/root LD_LIBRARY_PATH=$prefix/lib PATH=$prefix/bin:$PATH
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive

for tool in analyze convert dump info plot train; do
    for file in bin/fim-$tool share/man/man1/fim-$tool.1 share/bash-completion/completions/fim-$tool.bash \
        share/zsh/site-functions/_fim-$tool; do
        [ -s "$prefix/$file" ] || { echo "$file is not installed"; exit 1; }
    done
done

version=$(pkg-config --modversion fim)
released=$(sed -n 's/^\.TH [^"]*"\([0-9-]*\)".*/\1/p' "$prefix/share/man/man1/fim-plot.1")
grep -q "^version: $version\$" "$top/CITATION.cff" && grep -q "^date-released: $released\$" "$top/CITATION.cff" &&
    grep -q "^## $version ($released)\$" "$top/CHANGELOG.md" ||
    { echo "CITATION.cff or CHANGELOG.md is not of version $version, released $released"; exit 1; }

read -ra cflags <<<"$(pkg-config --cflags fim)"
read -ra libs <<<"$(pkg-config --libs fim)"
for header in "$prefix"/include/fim/*.h; do
    [[ $header != *_real.h ]] || continue # parts of net.h and op.h
    printf '#include <fim/%s>\nint main(void) { return 0; }\n' "${header##*/}" >"$scratch/alone.c"
    cc -std=c17 -Wall -Wextra -Werror -fsyntax-only "$scratch/alone.c" "${cflags[@]}"
done

# A page of each, by Doxygen, whose warnings are errors, with what the header says of its functions.
ninja -C "$build" doxygen >/dev/null
for header in "$top"/include/fim/*.h; do
    name=${header##*/}
    page=$build/doxygen/html/$(sed 's/_/__/g; s/\.h$/_8h.html/' <<<"$name")
    [ "$name" = real.h ] || [ -s "$page" ] || { echo "$name has no page"; exit 1; }
done
grep -q "lambda (d_a, d_g) = diagonal of F in the basis U_a ⊗ U_g" "$build/doxygen/html/fisher_8h.html"

cc -std=c17 -O2 -Wall -Wextra -Werror "$top/notebooks/examples/errors.c" "${cflags[@]}" "${libs[@]}" -o "$scratch/errors"
cd "$scratch"
fim-train --quiet --net 784-12-6-784 --data curves:60 --likelihood bernoulli --epochs 1 -o run >/dev/null
./errors run/checkpoint-1.h5 curves:60 >got
fim-analyze --quiet run/checkpoint-1.h5 --data curves:60 --methods kfac,kpsvd --metrics frobenius_error --format csv >want
fim-dump --quiet run/checkpoint-1.h5 --data curves:60 --layers 1 --with factors -o blocks.h5
/usr/bin/python3 - <<'PYTHON' # Debian's, which has python3-h5py
import csv, h5py, numpy as np
got = [line.split() for line in open("got")][1:]
want = {}
for row in csv.DictReader(open("want")):
    want.setdefault(row["layer"], []).append(float(row["frobenius_error"]))
assert len(got) == len(want) == 3, (got, want)
for layer, *errors in got:
    np.testing.assert_allclose([float(e) for e in errors[:2]], want[layer], rtol=1e-5)
block = h5py.File("blocks.h5")["layers/1"]
F, A, G = block["fisher"][:], block["a_factor"][:], block["g_factor"][:]
own = np.kron(A, np.trace(G) / len(G) * np.eye(len(G)))
np.testing.assert_allclose(float(got[1][3]), np.linalg.norm(F - own) / np.linalg.norm(F), rtol=1e-5)
PYTHON

# The program's products are OpenBLAS's, not the slow ones that come with GSL.
LD_DEBUG=bindings ./errors run/checkpoint-1.h5 curves:60 2>&1 >/dev/null | grep "symbol \`cblas_dgemm'" | grep -q openblas
