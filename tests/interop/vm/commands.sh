# shellcheck shell=bash
# Sourced in the guest by libreswan-guest and iketcp-guest: what the tests say from outside (in_guest of tests/interop/lib.sh).

# guest_commands DIRECTORY PID: each file DIRECTORY/commands/N (1, 2, ...) is run as a bash script that has all functions of
# the caller; what it prints stands between the lines "--- N" and "=== N STATUS". Ends when PID does.
guest_commands() {
    local directory=$1 pid=$2 number=1 status
    while kill -0 "$pid"; do
        if [ ! -e "$directory/commands/$number" ]; then
            sleep 0.1
            continue
        fi
        status=0
        echo "--- $number"
        (
            set -e
            # shellcheck source=/dev/null
            . "$directory/commands/$number"
        ) 2>&1 || status=$?
        echo "=== $number $status"
        number=$((number + 1))
    done
}
