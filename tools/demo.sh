#!/bin/sh
# Shows what an index trained on the synthetic log answers, then serves it, with a page:
#     ESPALIER=.venv/bin/espalier sh tools/demo.sh .demo HOST:PORT HOST:PORT
set -eu

folder=$1
index=$folder/demo.esp
address=$2
web=$3
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

printf '\nServing on %s. See it at  http://%s/  (Ctrl-C ends it)\n' "$address" "$web"
exec "$ESPALIER" serve --config "$(dirname "$0")/demo.toml" --index "$index" --listen "$address" --http "$web" --demo \
    --set "demo_catalogue=$folder/catalogue.tsv" --set "demo_products=$folder/products.esp"
