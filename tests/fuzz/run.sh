#!/usr/bin/env bash
# Long runs of the fuzz targets:  tests/fuzz/run.sh [SECONDS [TARGET...]]   (default: 3600 seconds each, all targets)
#
# Builds with clang, libFuzzer and the address and undefined-behaviour sanitizers in build-fuzz/ (or $FIM_FUZZ), where the grown
# corpora, the logs and the findings stay: build-fuzz/corpus/TARGET, TARGET.log, findings/TARGET-*. A target at a time on each of
# $FIM_FUZZ_JOBS processors (default: all). Ends on one line per target, and with 1 when there is a finding.
#
# A finding is kept as a test by copying it, made small by -minimize_crash=1, to tests/fuzz/corpus/TARGET/found-<what>.
set -uo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-3600}
shift $(($# > 0 ? 1 : 0))
folder=${FIM_FUZZ:-$PWD/build-fuzz}
jobs=${FIM_FUZZ_JOBS:-$(nproc)}

if [ ! -f "$folder/build.ninja" ]; then
    CC=clang meson setup "$folder" -Dfuzz=true -Dtests=disabled -Dbuildtype=debugoptimized -Dwerror=false -Db_lundef=false \
        -Db_sanitize=address,undefined "-Dc_args=-fsanitize=fuzzer-no-link -fno-sanitize-recover=all" || exit 1
fi
ninja -C "$folder" >"$folder/build.log" 2>&1 || { tail -n 30 "$folder/build.log"; exit 1; }
mkdir -p "$folder/findings"

targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=($(cd "$folder" && ls -d fuzz-* | grep -v '\.p$' | sed 's/^fuzz-//'))

# libhdf5 crashes on crafted files, which is why the tools read them in a child. Here its readers run in the open, so that libFuzzer
# sees what they do; crashes are counted and kept, and are findings when the frames on top are ours (see the log).
fuzz() {
    local target=$1 options=()
    case $target in
    blocks | hdf5 | native | report | keras) options=(-fork=1 -ignore_crashes=1 -ignore_ooms=1 -ignore_timeouts=1) ;;
    esac
    mkdir -p "$folder/corpus/$target"
    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 UBSAN_OPTIONS=print_stacktrace=1 \
        ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1 \
        "$folder/fuzz-$target" -max_total_time="$seconds" -timeout=300 -rss_limit_mb=3000 -malloc_limit_mb=300 -max_len=65536 \
        -print_final_stats=1 -use_value_profile=1 "${options[@]}" -artifact_prefix="$folder/findings/$target-" \
        "$folder/corpus/$target" "tests/fuzz/corpus/$target" >"$folder/$target.log" 2>&1
    echo "$target: $(grep -E '^stat::number_of_executed_units|^#[0-9]+' "$folder/$target.log" | tail -n 1)"
}
export -f fuzz
export folder seconds
printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -I{} bash -c 'fuzz {}'

found=$(ls "$folder/findings" | wc -l)
echo "$found findings in $folder/findings"
[ "$found" -eq 0 ]
