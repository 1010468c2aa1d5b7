# shellcheck shell=bash
# Sourced behind lib.sh: an iketcpd in each namespace, and a conn `bench` between them that is not up yet.

cli() { "$programs/iketcp" --control "$work/$1.control" "${@:2}"; }

# pair_begin [OPTION...]: of the conn, on both sides. tcp-congestion=NAME is for what the server accepts as well.
pair_begin() {
    local side listens option
    chmod 755 "$work"
    for option in "$@"; do [[ $option != tcp-congestion=* ]] || listens="    listen-$option"; done
    ip -n $client address add 10.8.9.2/32 dev lo
    ip -n $server address add 10.8.9.1/32 dev lo
    for side in client server; do
        cat >"$work/$side.conf" <<CONF
config setup
    listen-tcp=yes
${listens:-}
conn bench
    left=10.9.1.1
    leftid=@client
    leftsubnet=10.8.9.2/32
    right=10.9.1.2
    rightid=@server
    rightsubnet=10.8.9.1/32
    authby=secret
    ike=aes_gcm128-sha2_256-dh31
    esp=aes_gcm128
    auto=add
$(printf '    %s\n' "$@")
CONF
        echo '@client @server : PSK "a key for measuring"' >"$work/$side.secrets"
        chmod 600 "$work/$side.secrets"
        in_net $names-$side "$programs/iketcpd" --foreground --config "$work/$side.conf" --secrets "$work/$side.secrets" \
            --control "$work/$side.control" >"$work/$side.log" 2>&1 &
    done
    for side in client server; do
        wait_for 10 cli $side status || { cat "$work"/*.log >&2; die "iketcpd did not start"; }
    done
}
