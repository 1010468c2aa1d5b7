# shellcheck shell=bash
# Sourced by the network tests: every function whose name begins with test_ is a test, run in a lab of its own (scripts/lab.sh)
# and in a subshell with set -e. A file ends with: run_tests "$@". Without root all are skipped, by name.

test_self=$(readlink -f "$0")
test_folder=${test_self%/*}
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. scripts/lab.sh

test_file=${0##*/}

run_tests() {
    local name log status failed=0
    if [ -n "${NET_TEST:-}" ]; then
        run_one "$NET_TEST"
        return
    fi
    for name in $(declare -F | sed -n 's/^declare -f \(test_.*\)/\1/p'); do
        if [ "${1:-}" = --list ]; then echo "${test_folder##*/}: $test_file: ${name#test_}"; continue; fi
        if [ -n "${1:-}" ] && [[ $name != *$1* ]]; then continue; fi
        if [ "$(id -u)" != 0 ]; then echo "ok ${name#test_} # SKIP needs root for network namespaces"; continue; fi
        log=$(mktemp)
        status=0
        LAB=t$$x$((RANDOM % 1000)) NET_TEST=$name "$test_self" >"$log" 2>&1 || status=$?
        if [ $status = 0 ]; then
            echo "ok ${name#test_}"
            sed -n 's/^cell: /# /p' "$log"
        else
            echo "not ok ${name#test_}"
            sed 's/^/# /' "$log" | tail -n 80
            failed=1
        fi
        rm -f "$log"
    done
    return $failed
}

# One test, in this process: it ends with the first command that fails.
run_one() {
    set -eE
    lab_begin
    trap 'echo "failed at: $BASH_COMMAND"; lab_show' ERR
    "$1"
}

# Said once when a test failed: what both sides logged.
lab_show() {
    local side
    trap - ERR
    for side in west east; do
        [ -f "$lab_dir/$side.log" ] || continue
        echo "--- $side:"
        tail -n 30 "$lab_dir/$side.log"
    done
}

# expect WHAT ACTUAL WANTED
expect() {
    if [ "$2" != "$3" ]; then
        echo "$1: expected '$3', but it is '$2'"
        return 1
    fi
}

# expect_match WHAT TEXT PATTERN (extended regular expression)
expect_match() {
    if ! grep -qE "$3" <<<"$2"; then
        echo "$1: nothing matches '$3' in: $2"
        return 1
    fi
}

# both daemons with the ordinary configuration, tunnel up from west
tunnel_up() {
    lab_config
    lab_daemon east
    lab_daemon west
    lab_cli west up tunnel
}

ping_through() { in_west ping -n -c "${1:-3}" -i 0.2 -W 2 -I 10.1.0.1 10.2.0.1; }
