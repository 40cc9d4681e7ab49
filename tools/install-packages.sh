#!/usr/bin/env bash
# Installs what building the toolkit takes, and with --tests what its tests take beside that: Debian and Ubuntu packages that
# are missing, and nothing when none is.
set -euo pipefail

packages=(gcc libc6-dev meson ninja-build pkgconf libgsl-dev libhdf5-dev liblapacke-dev libopenblas-pthread-dev
          libjansson-dev zlib1g-dev libzip-dev libmd-dev libseccomp-dev libmatio-dev protobuf-c-compiler libprotobuf-c-dev libonnx-dev gnuplot-nox)
if [ "${1:-}" = --tests ]; then
    packages+=(libcriterion-dev clang-format valgrind python3 python3-h5py python3-nbclient python3-ipykernel dataset-fashion-mnist poppler-utils mandoc zsh
               doxygen)
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This system has no apt: please install the counterparts of these Debian packages yourself:"
    echo "  ${packages[*]}"
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "please install as root: ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
