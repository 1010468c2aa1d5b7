# shellcheck shell=bash
# Sourced by the demo, the network tests and the bench: two hosts and a router between them, in namespaces of our own.
#
#   west 192.0.2.10/24 ------ .1 router .1 ------ 198.51.100.10/24 east       2001:db8:1::10/64, 2001:db8:2::10/64
#        10.1.0.1/24, fd00:1::1/64 inside              10.2.0.1/24, fd00:2::1/64 inside
#
# lab_begin makes them; all ends with the shell (trap), or with lab_end. Several labs can be there at once: each has its
# own prefix. Only processes that lab_start started are ended, by pid.

lab=${LAB:-iketcp$$}
west=$lab-west east=$lab-east router=$lab-router north=$lab-north
lab_build=${LAB_BUILD:-$PWD/build}
lab_pids=()
lab_python=/usr/bin/python3 # Debian's: a wrapper in front of it would cost more than all else that a test starts
[ -x $lab_python ] || lab_python=python3

in_west() { ip netns exec "$west" "$@"; }
in_east() { ip netns exec "$east" "$@"; }
in_north() { ip netns exec "$north" "$@"; }
in_router() { ip netns exec "$router" "$@"; }

# wait_for SECONDS COMMAND...: until it succeeds; 1 when it never did
wait_for() {
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] || return 1
        sleep 0.1
    done
}

lab_host() { # NAMESPACE OUTER4 ROUTER4 OUTER6 ROUTER6 INNER4 INNER6
    local name=${1##*-}
    ip netns add "$1"
    ip link add eth0 netns "$1" type veth peer name "$name" netns "$router"
    ip -n "$1" link set lo up
    # no link-local addresses that come by themselves: tests compare what a host has before and after; but fixed ones, since
    # IPv6 finds no neighbours without
    ip -n "$1" link set eth0 addrgenmode none
    ip -n "$router" link set "$name" addrgenmode none
    ip -n "$1" link set eth0 up
    ip -n "$router" link set "$name" up
    ip -n "$1" address add fe80::10/64 dev eth0 nodad
    ip -n "$router" address add fe80::1/64 dev "$name" nodad
    ip -n "$1" address add "$2/24" dev eth0
    ip -n "$router" address add "$3/24" dev "$name"
    ip -n "$1" address add "$4/64" dev eth0 nodad
    ip -n "$router" address add "$5/64" dev "$name" nodad
    ip -n "$1" route add default via "$3"
    ip -n "$1" -6 route add default via "$5"
    ip -n "$1" link add inside type bridge
    ip -n "$1" link set inside addrgenmode none
    ip -n "$1" link set inside up
    ip -n "$1" address add "$6/24" dev inside
    ip -n "$1" address add "$7/64" dev inside nodad
}

lab_begin() {
    [ "$(id -u)" = 0 ] || { echo "needs root" >&2; return 1; }
    lab_dir=$(mktemp -d "${TMPDIR:-/tmp}/$lab.XXXXXX")
    chmod 755 "$lab_dir"
    if [ "${lab_traps:-yes}" = yes ]; then # else the caller has traps of its own, which call lab_end
        trap lab_end EXIT
        trap 'exit 130' INT TERM
    fi
    ip netns add "$router"
    ip -n "$router" link set lo up
    in_router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    lab_host "$west" 192.0.2.10 192.0.2.1 2001:db8:1::10 2001:db8:1::1 10.1.0.1 fd00:1::1
    lab_host "$east" 198.51.100.10 198.51.100.1 2001:db8:2::10 2001:db8:2::1 10.2.0.1 fd00:2::1
    in_router nft -f - <<'NFT'
table inet lab {
    counter dropped {}
    chain forward { type filter hook forward priority 0; policy accept; }
}
NFT
}

# lab_north: a third host, 198.18.0.10/24 and 2001:db8:3::10, with the same networks inside as east
lab_north() {
    lab_host "$north" 198.18.0.10 198.18.0.1 2001:db8:3::10 2001:db8:3::1 10.2.0.1 fd00:2::1
}

lab_end() {
    local pid name status=$?
    trap - EXIT INT TERM
    for pid in "${lab_pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for name in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
        [ -n "$(lab_alive)" ] || break
        sleep 0.1
    done
    for pid in $(lab_alive); do kill -9 "$pid" 2>/dev/null || true; done
    for name in "$west" "$east" "$north" "$router"; do ip netns delete "$name" 2>/dev/null || true; done
    [ -z "${lab_dir:-}" ] || rm -rf "$lab_dir"
    return $status
}

# What still runs in our namespaces: they are ours alone, so whoever is in them was started by us.
lab_alive() {
    local name
    for name in "$west" "$east" "$north" "$router"; do ip netns pids "$name" 2>/dev/null || true; done
}

# lab_block MATCH: the router drops (and counts) what an nftables expression matches
lab_block() { in_router nft add rule inet lab forward "$@" counter name dropped drop; }
lab_unblock() { in_router nft flush chain inet lab forward; }
lab_dropped() { in_router nft list counter inet lab dropped | sed -n 's/.*packets \([0-9]*\) .*/\1/p'; }
lab_block_udp() { lab_block meta l4proto '{ udp, esp }'; }

# lab_spawn NAMESPACE LOG COMMAND...: in the background, ended with the lab; its pid in $spawned
lab_spawn() {
    local namespace=$1 log=$2
    shift 2
    ip netns exec "$namespace" "$@" >"$log" 2>&1 </dev/null &
    spawned=$!
    lab_pids+=("$spawned")
}

# lab_daemon SIDE [OPTION...]: iketcpd with $lab_dir/SIDE.conf and SIDE.secrets; returns when it is ready. pid in $spawned
lab_daemon() {
    local side=$1
    shift
    chmod 600 "$lab_dir/$side.secrets"
    lab_spawn "$lab-$side" "$lab_dir/$side.log" "$lab_build/iketcpd" --foreground --config "$lab_dir/$side.conf" \
        --secrets "$lab_dir/$side.secrets" --control "$lab_dir/$side.control" "$@"
    local pid=$spawned tries=0
    until lab_cli "$side" status >/dev/null 2>&1; do # a socket may be a killed one's
        tries=$((tries + 1))
        if ! kill -0 "$pid" 2>/dev/null || [ $tries -gt 100 ]; then
            echo "iketcpd of $side did not get ready:" >&2
            tail -n 20 "$lab_dir/$side.log" >&2
            return 1
        fi
        sleep 0.1
    done
}

lab_cli() { # SIDE ARGUMENT...
    local side=$1
    shift
    "$lab_build/iketcp" --control "$lab_dir/$side.control" "$@"
}

# lab_config: the ordinary two-host configuration, written for both sides. Lines for `config setup` and `conn` may come
# in $setup_west, $setup_east, $conn_both, $conn_west, $conn_east; what east says of west's address in $left_east.
lab_config() {
    local side
    for side in west east; do
        local setup=setup_$side conn=conn_$side left=left_$side
        cat >"$lab_dir/$side.conf" <<CONF
config setup
    listen-tcp=yes
${!setup:-}
conn tunnel
    left=${!left:-192.0.2.10}
    leftid=@west
    leftsubnets={10.1.0.0/24,fd00:1::/64}
    right=198.51.100.10
    rightid=@east
    rightsubnets={10.2.0.0/24,fd00:2::/64}
    authby=secret
    auto=add
${conn_both:-}
${!conn:-}
CONF
        sed -i '/^$/d' "$lab_dir/$side.conf"
        echo '@west @east : PSK "correct horse battery staple"' >"$lab_dir/$side.secrets"
    done
}

# lab_json SIDE EXPRESSION: a Python expression over `s`, the status; prints it
lab_json() {
    lab_cli "$1" status --json | "$lab_python" -c 'import json, sys
s = json.load(sys.stdin)
c = s["connections"][0] if s["connections"] else None
print(eval(sys.argv[1]))' "$2"
}

# lab_roam: west loses its network and gets another, as a laptop that leaves the office: 203.0.113.10 behind the router. The
# interface is eth1 (in the router west2); lab_roam_back: eth0 again.
lab_roam() {
    ip -n "$west" link set eth0 down
    if ! in_west ip link show eth1 >/dev/null 2>&1; then
        ip link add eth1 netns "$west" type veth peer name west2 netns "$router"
        ip -n "$router" link set west2 up
        ip -n "$router" address add 203.0.113.1/24 dev west2
    fi
    ip -n "$west" link set eth1 up
    ip -n "$west" address replace 203.0.113.10/24 dev eth1
    ip -n "$west" route replace default via 203.0.113.1
}
lab_roam_back() {
    ip -n "$west" link set eth1 down
    ip -n "$west" link set eth0 up
    ip -n "$west" route replace default via 192.0.2.1
}

# lab_block_udp_of INTERFACE-OF-THE-ROUTER
lab_block_udp_of() {
    lab_block iifname "$1" meta l4proto '{ udp, esp }'
    lab_block oifname "$1" meta l4proto '{ udp, esp }'
}
