#!/usr/bin/env bash
# CIFAR-10 from nothing: the fast teacher, its cached logits, tiny-cnn, ONNX, verdict. Under an hour on two cores.
# Usage: docs/cifar10.sh [DATA [FOLDER]]   DATA as edgekd's --data (default cifar10: downloads it), FOLDER for the results.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
start_chain "${1:-cifar10}" "${2:-cifar10-chain}"

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
