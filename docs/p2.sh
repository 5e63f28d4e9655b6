#!/usr/bin/env bash
# Lin & Shen's pipeline (P2) in full: teacher-6, its logits once, the 11,444-parameter student; 100 epochs each, batches
# of 100, AdamW, 45,000 images for training and 5,000 for validation, none of them varied. One to two hours on two cores with bf16.
# Usage: docs/p2.sh [DATA [FOLDER]]   DATA as edgekd's --data (default cifar10: downloads it), FOLDER for the results.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
start_chain "${1:-cifar10}" "${2:-p2-chain}"

step teacher.json teacher train-teacher --model custom-teacher-6 --data "$data" --crop 0 --no-flip --name teacher
step cache.json none cache-logits --teacher teacher --views 1 --crop 0 --no-flip --name labels
step student.json student distill --cache cache/labels --student custom-student --alpha 0.5 --name student

cat <<END

teacher $(figure teacher.json model), $(figure teacher.json params) parameters: $(figure teacher.json test_top1) of the test images right
student $(figure student.json model), $(figure student.json params) parameters: $(figure student.json test_top1)
seconds of the steps, one a line, are in $folder/seconds.txt
END
