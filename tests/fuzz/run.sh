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

# libhdf5 and libmatio crash, leak, loop and take much memory on crafted files, which is why the tools read them in a child. Here
# their readers run in the open, so that libFuzzer sees what they do; what happens within the library is counted and set aside.
guarded=" blocks hdf5 keras mat native report "
fuzz() {
    local target=$1 options=(-timeout=300)
    case $guarded in *" $target "*) options=(-timeout=10 -fork=1 -ignore_crashes=1 -ignore_ooms=1 -ignore_timeouts=1) ;; esac
    mkdir -p "$folder/corpus/$target" "$folder/files"
    local -x TMPDIR="$folder/files" OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 UBSAN_OPTIONS=print_stacktrace=1 TIMEFORMAT="%U + %S"
    local used
    used=$({ time "$folder/fuzz-$target" -max_total_time="$seconds" -report_slow_units=300 -rss_limit_mb=3000 -malloc_limit_mb=300 \
        -max_len=65536 -print_final_stats=1 -use_value_profile=1 "${options[@]}" \
        -artifact_prefix="$folder/findings/$target-" "$folder/corpus/$target" "tests/fuzz/corpus/$target" \
        >"$folder/$target.log" 2>&1; } 2>&1)
    set_aside "$target"
    echo "$target: $(grep -E '^stat::number_of_executed_units|^#[0-9]+' "$folder/$target.log" | tail -n 1), $used s of processor time (user + system)"
}

# What is no finding: inputs that do no harm a second time (a busy machine makes timeouts), and for a guarded target those whose
# first frame outside the sanitizers is the library's, which go to library/.
set_aside() {
    local finding frames
    mkdir -p "$folder/library"
    for finding in "$folder/findings/$1-"*; do
        [ -f "$finding" ] || continue
        if "$folder/fuzz-$1" -timeout=10 -rss_limit_mb=3000 -malloc_limit_mb=300 "$finding" >/dev/null 2>&1; then
            rm "$finding"
            continue
        fi
        case $guarded in *" $1 "*) ;; *) continue ;; esac
        # Again without a limit for the whole process, whose watch would end it before the frames are told.
        frames=$("$folder/fuzz-$1" -timeout=10 -rss_limit_mb=0 -malloc_limit_mb=300 "$finding" 2>&1)
        grep -E '^ +#[0-9]+ ' <<<"$frames" | grep -vE "$runtime" |
            head -n 1 | grep -qE 'lib(hdf5|matio)' && mv "$finding" "$folder/library/"
    done
}
printf 'leak:libhdf5\nleak:libmatio\n' >"$folder/suppressions"
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1
export LSAN_OPTIONS=suppressions=$folder/suppressions:print_suppressions=0
# Frames of the sanitizers, and of libc with its sources' names or without.
runtime='/fuzz-[a-z0-9-]+\+0x|/libc\.so| (\./)?(debug|libio|malloc|misc|nptl|posix|signal|stdio-common|stdlib|string|sysdeps)/'
export guarded runtime
export -f set_aside
export -f fuzz
export folder seconds
printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -I{} bash -c 'fuzz {}'

rm -rf "$folder/files"
echo "$(ls "$folder/library" | wc -l) inputs on which libhdf5 or libmatio fails by itself, in $folder/library"
found=$(ls "$folder/findings" | wc -l)
echo "$found findings in $folder/findings"
[ "$found" -eq 0 ]
