# The demonstration of the README: a log, a verdict, the proof, a question. Usage: demo.sh PYTHON LOG
set -eu
python=$1 log=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

show() {
    printf '\n$ mmlist'
    for word; do
        case $word in
            *' '*) printf ' "%s"' "$word" ;;
            *) printf ' %s' "${word#"$folder/"}" ;;
        esac
    done
    echo
    "$python" -m mmlist "$@" >"$folder/out"
    sed "s|$folder/||" "$folder/out"
}

echo "A trimmed capture of a kernel with a bug in its swap code: $log"
show replay "$log" -o "$folder/demo.db" --fail-on never
show explain "$folder/demo.db"
show sql "$folder/demo.db" \
    "SELECT code, slug, certainty, count(*) AS mms, min(line) AS first_line FROM v_violation GROUP BY signature ORDER BY 5"
