# shellcheck shell=bash
# Sourced by the tests with other people's daemons: what the network tests have, strongSwan on a side of the lab, and the cells of
# the matrix in doc/interop.md (a line "cell: | ... |" of a test that passed is printed behind its name).
. "$(dirname "$(readlink -f "$0")")/../net/lib.sh"

# cell PEER ROLE-OF-THE-PEER TRANSPORT ALGORITHMS EXCHANGED; all authenticate with pre-shared keys
cell() { echo "cell: | $1 | $2 | $3 | PSK | $4 | $5 |"; }

both_ways() {
    ping_through "${1:-3}"
    in_east ping -n -c "${1:-3}" -i 0.2 -W 2 -I 10.2.0.1 10.1.0.1
}
quick_ping() { in_west ping -n -c 2 -i 0.02 -W 2 -I 10.1.0.1 10.2.0.1; }

# end PID: a process of lab_spawn's, and wait until it is gone
end() {
    kill "${2:--TERM}" "$1"
    wait "$1" || true
}

# ours SIDE [ID-OF-EAST]: our daemon there, as @SIDE.example; $conn_SIDE and $outer6 as in lab_config and sides_of
ours() {
    ours_config "$1"
    lab_daemon "$1"
    ours_pid=$spawned
}
ours_config() {
    lab_config
    sed -i -e 's/id=@west/id=@west.example/' -e 's/id=@east/id=@east.example/' -e '/subnets=/d' "$lab_dir/$1.conf"
    [ -z "${outer6:-}" ] || sed -i -e 's/=192.0.2.10/=2001:db8:1::10/' -e 's/=198.51.100.10/=2001:db8:2::10/' "$lab_dir/$1.conf"
    [ -z "${from_anywhere:-}" ] || [ "$1" != east ] || sed -i -e 's/left=192.0.2.10/left=%any/' "$lab_dir/east.conf"
    printf '    leftsubnet=10.1.0.0/24\n    rightsubnet=10.2.0.0/24\n' >>"$lab_dir/$1.conf"
    echo "@west.example @east.example : PSK \"${our_psk:-correct horse battery staple}\"" >"$lab_dir/$1.secrets"
}

# charon SIDE: strongSwan there; lines for strongswan.conf may come in $charon_extra. Then load SIDE.
charon() {
    local side=$1 name=$lab-$1 dir=$lab_dir/charon-$1
    mkdir -p "$dir"
    rm -f "$dir/vici" # a killed one's
    cat >"$dir/strongswan.conf" <<CONF
charon-systemd {
    load = random nonce openssl kdf pem pkcs1 x509 pubkey constraints revocation kernel-libipsec kernel-netlink socket-default vici updown
    install_virtual_ip = no
    plugins {
        kernel-libipsec { allow_peer_ts = yes }
        vici { socket = unix://$dir/vici }
    }
    filelog { log { path = $dir/log
        flush_line = yes
        default = 1 } }
    ${charon_extra:-}
}
swanctl { load = random pem pkcs1 openssl }
CONF
    lab_spawn "$name" "$dir/out" unshare --mount sh -c "mount -t tmpfs tmpfs /run && exec env STRONGSWAN_CONF=$dir/strongswan.conf /usr/sbin/charon-systemd"
    charon_pid=$spawned
    wait_for 10 swan "$side" --stats || { cat "$dir/out" "$dir/log"; return 1; }
    # libipsec leaves the route to us
    local far=10.2.0.0/24 own=10.1.0.1
    [ "$side" = west ] || { far=10.1.0.0/24; own=10.2.0.1; }
    wait_for 5 ip -n "$name" link set ipsec0 up
    ip -n "$name" route replace "$far" dev ipsec0 src "$own"
}
swan() { # SIDE ARGUMENT...
    local side=$1
    shift
    STRONGSWAN_CONF=$lab_dir/charon-$side/strongswan.conf swanctl "$@" --uri "unix://$lab_dir/charon-$side/vici" 2>/dev/null
}

# load SIDE: its configuration. $ike and $esp are the proposals, $swan_conn and $swan_child further lines, $swan_psk its key.
# from_anywhere: east takes west from any address.
load() {
    local side=$1 here=192.0.2.10 there=198.51.100.10 own=10.1.0.0/24 far=10.2.0.0/24 dir=$lab_dir/charon-$1 other=east
    [ -z "${outer6:-}" ] || { here=2001:db8:1::10; there=2001:db8:2::10; }
    [ "$side" = west ] || { other=$here; here=$there; there=$other; other=$own; own=$far; far=$other; other=west; }
    [ -z "${from_anywhere:-}" ] || [ "$side" = west ] || there=%any
    cat >"$dir/swanctl.conf" <<CONF
connections {
    tunnel {
        version = 2
        local_addrs = $here
        remote_addrs = $there
        encap = yes
        proposals = ${ike:-aes128gcm16-prfsha256-x25519}
        ${swan_conn:-}
        local { auth = psk
            id = $side.example }
        remote { auth = psk
            id = $other.example }
        children {
            tunnel {
                local_ts = $own
                remote_ts = $far
                esp_proposals = ${esp:-aes128gcm16-x25519}
                updown = /usr/lib/ipsec/_updown iptables
                ${swan_child:-}
            }
        }
    }
}
secrets { ike { secret = "${swan_psk:-correct horse battery staple}" } }
CONF
    swan "$side" ${2:---load-all} --file "$dir/swanctl.conf"
}

# sides_of ROLE: of strongSwan; west is who begins. Sets $swan and $our, the sides.
sides_of() {
    if [ "$1" = responder ]; then swan=east our=west; else swan=west our=east; fi
}

# both ROLE: both daemons with their configurations
both() {
    sides_of "$1"
    charon $swan
    load $swan
    ours $our
}
# up: whoever is west begins; then both agree that it is up, and packets pass
begin() {
    if [ $our = west ]; then lab_cli west up tunnel; else swan west --initiate --child tunnel --timeout 20; fi
}
up() {
    begin
    expect "state of ours" "$(lab_json $our '[x["state"] for x in s["connections"] if x["ike_sa"]]')" "['up']"
    expect_match "strongSwan's status" "$(swan $swan --list-sas)" 'tunnel: #.* INSTALLED'
}

# packets_counted [STATUS]: strongSwan saw packets of the tunnel in and out
packets_counted() {
    local sas=${1:-$(swan $swan --list-sas)}
    expect_match "strongSwan's count of packets in" "$sas" ' in .* [1-9][0-9]* packets'
    expect_match "strongSwan's count of packets out" "$sas" ' out .* [1-9][0-9]* packets'
}

# one_of_each: an IKE SA and a Child SA on each side, the same: no SA is left over, none was lost
one_of_each() {
    expect "strongSwan's IKE SAs" "$(swan $swan --list-sas | grep -c 'ESTABLISHED\|REKEYED\|DELETING')" 1 &&
        expect "strongSwan's Child SAs" "$(swan $swan --list-sas | grep -c INSTALLED)" 1 &&
        expect "our IKE SAs" "$(lab_json $our 'len([x for x in s["connections"] if x["ike_sa"]])')" 1 &&
        expect "our Child SAs" "$(lab_json $our '[len(x["child_sas"]) for x in s["connections"] if x["ike_sa"]]')" '[1]' &&
        expect "the SPIs of both" "$(swan_spis)" "$(our_spis)"
}
our_spis() { lab_json $our 'sorted(k[x] for i in s["connections"] for k in i["child_sas"] for x in ("spi_in", "spi_out"))' | tr -d "[]',"; }
swan_spis() { swan $swan --list-sas | sed -n -E 's/^ +(in|out) +([0-9a-f]{8}).*/\2/p' | sort | xargs; }
swan_log() { wait_for "${2:-5}" grep -qE "$1" "$lab_dir/charon-$swan/log"; }
our_log() { wait_for "${2:-5}" grep -qE "$1" "$lab_dir/$our.log"; }

# need_guest ARGUMENT FILE: of a file whose tests need the guest (vm/boot), in front of run_tests. Without its kernel it can't
# start: CI builds it, once a machine; others are told how.
need_guest() {
    local name
    if [ "$1" = --list ] || [ -n "${NET_TEST:-}" ] || [ "$(id -u)" != 0 ]; then return; fi
    if [ "${CI:-}${INTEROP_ALL:-}" = "" ] && ! tests/interop/vm/boot --built; then
        for name in $(declare -F | sed -n 's/^declare -f test_//p'); do
            echo "ok $name # SKIP the guest's kernel is not built: ./run interop $2 does it, in 7 minutes or more"
        done
        exit 0
    fi
    timeout --kill-after=10 2400 tests/interop/vm/boot --build || { echo "not ok the_guest_is_built"; exit 1; }
}

# in_guest COMMAND...: runs it there, prints what it printed, ends with its status; at most 60 s
in_guest() {
    local number
    echo >>"$lab_dir/guest/count"
    number=$(wc -l <"$lab_dir/guest/count")
    echo "$*" >"$lab_dir/guest/next"
    mv "$lab_dir/guest/next" "$lab_dir/guest/commands/$number"
    wait_for 60 grep -q "^=== $number " "$lab_dir/guest.log"
    sed -n "/^--- $number\$/,/^=== $number /p" "$lab_dir/guest.log" | sed '1d;$d'
    return "$(sed -n "s/^=== $number //p" "$lab_dir/guest.log")"
}

# load_through SECONDS: TCP through the tunnel to the guest, one way and the other
load_through() {
    local way
    for way in '' --reverse; do
        # between two tests the guest's server opens its port anew, and refuses meanwhile
        wait_for 20 moved_through "$1" $way || { cat "$lab_dir/iperf3.json"; return 1; }
    done
}
moved_through() {
    in_west iperf3 --client 10.88.0.1 --bind 10.1.0.1 --time "$@" --json >"$lab_dir/iperf3.json"
    "$lab_python" -c 'import json, sys
assert json.load(open(sys.argv[1]))["end"]["sum_received"]["bytes"] > 1e5' "$lab_dir/iperf3.json"
}

# Said once when a test failed: what both sides logged.
lab_show() {
    local log
    trap - ERR
    for log in "$lab_dir"/{west,east}.log "$lab_dir"/charon-{west,east}/log "$lab_dir"/guest.log; do
        [ ! -f "$log" ] || { echo "--- ${log#"$lab_dir/"}:"; tail -n 30 "$log"; }
    done
}
