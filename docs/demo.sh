#!/usr/bin/env bash
# The whole chain on the embedded data set with 500 labels of 10,000: teacher, cached logits, student (distilled from all
# images, and alone on the labelled ones), fine-tuning, ONNX, verdict.
# Every command prints one JSON object; this script keeps them in demo/ and reads its figures from there.
set -euo pipefail
cd "$(dirname "$0")/.."
rm -rf demo && mkdir demo && cd demo

step() { printf '\n\033[1m$ edgekd %s\033[0m\n' "$*" >&2; edgekd "$@"; }
read_json() { python -c 'import functools, json, sys; print(functools.reduce(lambda v, k: v[int(k) if k.isdigit() else k], sys.argv[2:], json.load(open(sys.argv[1]))))' "$@"; }
percent() { awk -v x="$(read_json "$@" test_top1)" 'BEGIN { printf "%.2f %%", 100 * x }'; }
points() { awk -v x="$(read_json distilled.json gain "$1")" 'BEGIN { printf "%+.1f", 100 * x }'; }

step train-teacher --label-fraction 0.05 --epochs 30 --batch-size 64 --json > teacher.json
step cache-logits --teacher "$(read_json teacher.json run)" --views 2 --json > cache.json
step distill --cache "$(read_json cache.json cache)" --epochs 12 --compare-alone --json > distilled.json
step finetune "$(read_json distilled.json run)" --epochs 2 --json > finetuned.json
step export "$(read_json finetuned.json run)" --json > export.json
verdict=0
step profile "$(read_json export.json file)" --device raspberry-pi-4 --duration 3 --json > profile.json || verdict=$?
[ "$verdict" = 0 ] || [ "$verdict" = 5 ] || exit "$verdict"
word=FAIL; [ "$verdict" = 5 ] || word=PASS

cat <<END

$(read_json teacher.json model), the teacher ($(read_json teacher.json params) parameters):   $(percent teacher.json)
tiny-cnn alone ($(read_json distilled.json params) parameters):             $(percent distilled.json alone)
tiny-cnn distilled, the same steps:              $(percent distilled.json)
tiny-cnn distilled and fine-tuned:               $(percent finetuned.json)
gain in points, 95 % interval over test images:  $(points mean) [$(points low), $(points high)]
model.onnx: $(read_json export.json size_bytes) bytes; one image takes $(read_json profile.json models 0 measurements 0 latency_ms percentiles p50 value) ms here (median)
$word: the limits of raspberry-pi-4 (latency, memory, size), measured on this machine
END
exit "$verdict"
