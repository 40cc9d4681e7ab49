#!/usr/bin/env bash
# Every test, from a fresh clone: installs what is missing, builds twice (optimized; with sanitizers), runs everything, and
# ends on one line, "N passed, N failed". Build folders: build/ and build-sanitize/ (or under $FIM_BUILD).
set -uo pipefail
cd "$(dirname "$0")/.."
top=$PWD
build=${FIM_BUILD:-$top}

tools/install-packages.sh --tests || { echo "0 passed, 1 failed"; exit 1; }

passed=0 failed=0 skipped=0

# One check of our own: its name, then the command, whose output is shown when it fails.
check() {
    local name=$1 log
    shift
    if log=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "ok: $name"
        grep '^skipped:' <<<"$log"
    else
        failed=$((failed + 1))
        printf '%s\n' "$log" | tail -n 60
        echo "FAILED: $name"
    fi
}

# Adds up what meson's JUnit report of a build folder counted; a run without a single test counts as a failure.
count() {
    local report=$1/meson-logs/testlog.junit.xml code=$2 numbers
    numbers=$(sed -n 's/.*<testsuites tests="\([0-9]*\)" errors="\([0-9]*\)" failures="\([0-9]*\)".*/\1 \2 \3/p' \
        "$report" 2>/dev/null | head -n 1)
    local tests errors failures skips
    read -r tests errors failures <<<"${numbers:-0 0 0}"
    skips=$(grep -o '<skipped' "$report" 2>/dev/null | wc -l)
    local bad=$((errors + failures))
    if [ "$bad" -eq 0 ] && { [ "$code" -ne 0 ] || [ "$tests" -eq 0 ]; }; then
        bad=1 tests=$((tests + 1)) # a program that died, or a folder in which nothing ran
    fi
    failed=$((failed + bad))
    skipped=$((skipped + skips))
    passed=$((passed + tests - bad - skips))
}

# Builds in folder $1 with the other arguments as meson options, and runs the tests there.
build_and_test() {
    local folder=$1
    shift
    if [ -f "$folder/build.ninja" ]; then
        meson configure "$folder" "$@" >/dev/null
    else
        meson setup "$folder" "$top" "$@" >/dev/null
    fi && ninja -C "$folder" >"$folder/build.log" 2>&1
    if [ $? -ne 0 ]; then
        tail -n 40 "$folder/build.log"
        failed=$((failed + 1))
        echo "FAILED: the build in $folder"
        return
    fi
    meson test -C "$folder" --no-rebuild --print-errorlogs
    count "$folder" $?
}

export OMP_WAIT_POLICY=passive # the tools would start themselves again to have it, and lose valgrind on the way
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

build_and_test "$build/build" -Dbuildtype=release -Dtests=enabled
build_and_test "$build/build-sanitize" -Dbuildtype=debugoptimized -Dtests=enabled \
    -Db_sanitize=address,undefined -Db_lundef=false -Dc_args=-fno-sanitize-recover=all
check "the sources are formatted" ninja -C "$build/build" clang-format-check
check "a tarball builds" tests/install/dist.sh "$build/build"
check "what is installed works" tests/install/check.sh "$build/build"
check "the notebooks execute" env FIM_TOOLS="$build/build" OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 \
    /usr/bin/python3 notebooks/execute.py
check "a tiny reproduction makes its page" tests/cli/reproduce.sh "$build/build"
check "valgrind finds nothing in the leak test" env OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 \
    valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=9 "$build/build/test-leak"

echo
if [ "$skipped" -gt 0 ]; then
    echo "skipped, with the reason:"
    grep -h -o '^ok.*# SKIP.*' "$build"/build*/meson-logs/testlog.txt | sort -u
fi
if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
