# Sourced by the scripts beside it: chains of edgekd commands that go on where they were stopped.
# start_chain DATA FOLDER: enter FOLDER; sets `data`. DATA is a folder, or a name that --data knows.
start_chain() {
    data=$1
    [ ! -e "$data" ] || data=$(realpath "$data")
    folder=$2
    mkdir -p "$folder" && cd "$folder"
}

# step FILE RUN COMMAND...: an edgekd command whose JSON goes to FILE and whose run is RUN.
# One that is done is not done again; one that was interrupted goes on.
step() {
    local file=$1 run=$2
    shift 2
    [ ! -s "$file" ] || return 0
    [ ! -f "runs/$run/manifest.json" ] || set -- "$@" --resume
    printf '\n$ edgekd %s\n' "$*" >&2
    local began=$SECONDS
    edgekd "$@" --json > "$file.part"
    printf '%s s: %s\n' "$((SECONDS - began))" "$1" | tee -a seconds.txt >&2
    mv "$file.part" "$file"
}

# figure FILE KEY: a figure of a step's JSON.
figure() { python -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$@"; }
