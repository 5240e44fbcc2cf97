#!/bin/sh
# Shows what an index trained on the synthetic log answers, then serves it:
#     ESPALIER=.venv/bin/espalier sh tools/demo.sh .demo/demo.esp HOST:PORT
set -eu

index=$1
address=$2
previous='tent'
prefix='c'

show() {
    printf '\n$ espalier'
    for word in "$@"; do
        case $word in *' '*) printf ' "%s"' "$word" ;; *) printf ' %s' "$word" ;; esac
    done
    printf '\n'
    "$ESPALIER" "$@"
}

printf '\nThe log behind this index is synthetic: nobody typed these queries.\n'
show complete "$index" "$prefix" -k 5
show complete "$index" --previous "$previous" "$prefix" -k 5

printf '\nServing on %s; Ctrl-C ends it. README.md has a client in five lines.\n' "$address"
exec "$ESPALIER" serve --index "$index" --listen "$address"
