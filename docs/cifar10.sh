#!/usr/bin/env bash
# CIFAR-10 from nothing: the fast teacher, its cached logits, tiny-cnn, ONNX, verdict. About 45 minutes on two cores.
# Usage: docs/cifar10.sh [DATA [FOLDER]]   DATA as edgekd's --data (default cifar10: downloads it), FOLDER for the results.
set -euo pipefail
data=${1:-cifar10}
[ ! -e "$data" ] || data=$(realpath "$data")
folder=${2:-cifar10-chain}
mkdir -p "$folder" && cd "$folder"

# A step that is done is not done again; one that was interrupted goes on.
step() {
    local file=$1 run=$2
    shift 2
    [ ! -s "$file" ] || return 0
    [ ! -f "runs/$run/manifest.json" ] || set -- "$@" --resume
    printf '\n$ edgekd %s\n' "$*" >&2
    local began=$SECONDS
    edgekd "$@" --json > "$file.part"
    printf '%s s\n' "$((SECONDS - began))" | tee -a seconds.txt >&2
    mv "$file.part" "$file"
}
figure() { python -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$@"; }

step teacher.json teacher train-teacher --data "$data" --val-fraction 0.02 --name teacher
step cache.json none cache-logits --teacher teacher --views 8 --name views
step student.json student distill --cache cache/views --student tiny-cnn --epochs 60 --name student
step export.json none export student
verdict=0
[ -s profile.json ] || edgekd profile "$(figure export.json file)" --device raspberry-pi-4 --json > profile.json || verdict=$?

cat <<END

teacher $(figure teacher.json model), $(figure teacher.json params) parameters: $(figure teacher.json test_top1) of the test images right
student $(figure student.json model), $(figure student.json params) parameters: $(figure student.json test_top1)
$(figure profile.json statement)
seconds of the steps, one a line, are in $folder/seconds.txt
END
exit "$verdict"
