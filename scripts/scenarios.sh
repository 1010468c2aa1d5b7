# shellcheck shell=bash
# Sourced by the demo, with the lab's functions: what lies between west and east in each scenario, and what that takes in
# the configuration. scenario_NAME is called when the lab is there and before lab_config; it sets
#   transport    what must carry the tunnel in the end
#   setup_east, conn_west, conn_east    lines of the configuration (see lab_config)
#   udp_tried    yes: the firewall must have dropped something
# then_NAME, if there is one, is called when the tunnel is up. measure_NAME does so instead of the ordinary ping and iperf3; it
# sets loss, and figures, the rest of the last line.
#
# scenario_packages: groups of packaging/debian-packages, by name of the scenario.

scenario_packages() {
    case $1 in
        proxy) echo proxy ;;
        reconnect) echo relay ;;
    esac
}

show_firewall() { in_router nft list chain inet lab forward | sed -n 's/^\t\t\(.*\(drop\|accept\)\)$/    \1/p'; }

scenario_tcp() {
    transport=tcp udp_tried=yes
    lab_block_udp
    echo "the router's firewall drops all UDP and all ESP:"
    show_firewall
}

scenario_udp() {
    transport=udp udp_tried=no
    echo "the router lets everything pass"
}

# Nothing passes but TCP to port 443, where east speaks TLS alone.
scenario_tls() {
    transport=tls udp_tried=yes
    in_router nft add rule inet lab forward tcp dport 443 accept
    in_router nft add rule inet lab forward tcp sport 443 accept
    lab_block meta l4proto '{ tcp, udp, esp }'
    echo "the router's firewall lets nothing through but TCP port 443:"
    show_firewall
    setup_east='    listen-tls=443'
    conn_west='    enable-tls=fallback'
}

# Nothing is forwarded at all: whoever wants out asks the web proxy on the router, which connects to port 443 alone.
scenario_proxy() {
    transport=tls udp_tried=no
    in_router nft add rule inet lab forward counter name dropped drop
    printf 'Port 3128\nListen 192.0.2.1\nMaxClients 20\nConnectPort 443\nBasicAuth west hush\n' >"$lab_dir/tinyproxy.conf"
    lab_spawn "$router" "$lab_dir/tinyproxy.log" /usr/bin/tinyproxy -d -c "$lab_dir/tinyproxy.conf"
    wait_for 10 sh -c "ip netns exec $router ss -Hltn 'sport = 3128' | grep -q ." || fail_demo "tinyproxy did not start"
    echo "the router forwards nothing; a web proxy (tinyproxy) runs on it, at 192.0.2.1 port 3128, and wants a password:"
    show_firewall
    setup_east='    listen-tls=443'
    conn_west='    enable-tls=yes
    proxy=http://west:hush@192.0.2.1:3128'
    # through a proxy, west comes from the proxy's address
    left_east=%any
}

# The first network lets UDP pass, the second one does not.
scenario_roam() {
    transport=tcp udp_tried=no
    echo "the router lets everything pass"
    conn_both='    mobike=yes' left_west=%defaultroute left_east=%any
}

ike_spis() { lab_json west 'c["ike_sa"]["spi_i"] + " " + c["ike_sa"]["spi_r"]'; }
then_roam() {
    local before
    before=$(ike_spis)
    lab_cli west status
    title "west leaves its network: eth0 goes, eth1 comes with another address, where a firewall drops UDP; a ping runs"
    in_west ping -n -i 0.1 -c 80 -W 1 -I 10.1.0.1 10.2.0.1 >"$lab_dir/ping-roam" &
    local ping=$!
    sleep 1
    lab_roam
    lab_block_udp_of west2
    wait $ping || true
    grep -E 'packets transmitted' "$lab_dir/ping-roam" || true
    sed -n 's/^[^ ]* .*\(tunnel.*network changed\|tunnel.*the SAs try\|tunnel.*moved to\)/    \1/p' "$lab_dir/west.log"
    echo "IKE SA before: $before"
    echo "IKE SA now:    $(ike_spis)"
    [ "$(ike_spis)" = "$before" ] || fail_demo "another IKE SA"
}

# A NAT on the way, and west speaks TCP from the beginning.
scenario_reconnect() {
    transport=tcp udp_tried=no
    in_router nft -f - <<'NFT'
table ip middle {
    chain before { type nat hook prerouting priority dstnat; }
    chain after { type nat hook postrouting priority srcnat; oifname east meta l4proto tcp masquerade to :20000-60000 fully-random; }
}
NFT
    lab_spawn "$router" "$lab_dir/socat.log" socat TCP-LISTEN:14500,fork,reuseaddr TCP:198.51.100.10:4500
    relay=$spawned
    wait_for 10 sh -c "ip netns exec $router ss -Hltn 'sport = 14500' | grep -q ." || fail_demo "the relay did not start"
    echo "the router is a NAT; a relay (socat) waits on it, at first for nobody"
    conn_west='    enable-tcp=yes' left_east=%any
}

esp_spis() { lab_json west '" ".join(sorted(x["spi_in"] + "/" + x["spi_out"] for x in c["child_sas"]))'; }
reconnects() { lab_json west 'c["ike_sa"]["reconnects"]'; }
reconnected() { [ "$(lab_json west 'c["state"]')" = up ] && [ "$(reconnects)" -gt "$1" ]; }
# The local ports of the connections that are open: one, but for the two seconds in which an old one lingers.
open_ports() { in_west ss -Htn state established "dport = 4500" | sed -n 's/.*:\([0-9]*\) .*:4500.*/\1/p' | tr '\n' ' '; }
one_port() { [ "$(open_ports | wc -w)" = 1 ]; }
port_gone() { ! open_ports | grep -qw "$1"; }
now_ms() { date +%s%3N; }

cut_hole() { # PORT
    lab_block tcp dport 4500 tcp sport "$1"
    lab_block tcp sport 4500 tcp dport "$1"
}
cut_nat() {
    ip -n "$router" link set east down
    ip -n "$router" link set east up
    ip -n "$router" address replace 2001:db8:2::1/64 dev east nodad
}
cut_reset() {
    in_router nft add rule ip middle before iifname west tcp dport 4500 redirect to :14500 # what comes next
    in_router nft add rule inet lab forward tcp dport 4500 reject with tcp reset
    wait_for 15 port_gone "$1" || fail_demo "the connection outlived its reset"
    lab_unblock
}
cut_fin() { pkill -P "$relay"; } # its children carry a connection each; it listens on

# one_cut KIND WHAT-IT-IS: shows what west said, and that all is as before
one_cut() {
    local kind=$1 from=$(($(wc -l <"$lab_dir/west.log") + 1)) count began took
    cuts=$((cuts + 1))
    title "cut $cuts: $2"
    wait_for 15 one_port || fail_demo "west has more than one connection: $(open_ports)"
    count=$(reconnects) began=$(now_ms)
    "cut_$kind" "$(open_ports | tr -d ' ')"
    wait_for 40 reconnected "$count" || fail_demo "no new connection after cut $cuts"
    wait_for 20 in_west ping -n -c 1 -W 1 -I 10.1.0.1 10.2.0.1 || fail_demo "no traffic after cut $cuts"
    took=$(($(now_ms) - began))
    [ $took -le "$worst" ] || worst=$took
    tail -n "+$from" "$lab_dir/west.log" | sed -n 's/^[^ ]* *[^ ]* *tunnel: /    /p' | head -n 8
    [ "$(ike_spis) $(esp_spis)" = "$before" ] || fail_demo "other SPIs after cut $cuts: $(ike_spis) $(esp_spis)"
    printf 'traffic again after %d.%01d s, with the same SPIs; reconnects: %d\n' $((took / 1000)) $((took % 1000 / 100)) "$(reconnects)"
    sleep 1.2 # sooner, and the next one waits for the backoff
}

measure_reconnect() {
    local before cuts=0 worst=0 ping sent received
    title "a ping (10 a second) and iperf3 (20 Mbit/s) run through the tunnel; the SPIs of the IKE SA and of ESP:"
    before="$(ike_spis) $(esp_spis)"
    echo "$before"
    lab_spawn "$east" "$lab_dir/iperf3.server" iperf3 --server --bind 10.2.0.1
    wait_for 15 sh -c "ip netns exec $east ss -Hltn 'sport = 5201' | grep -q ." || fail_demo "iperf3's server did not start"
    lab_spawn "$west" "$lab_dir/iperf3" iperf3 --client 10.2.0.1 --bind 10.1.0.1 --time 86400 --bitrate 20M --forceflush --format m
    local client=$spawned
    lab_spawn "$west" "$lab_dir/ping" ping -n -i 0.1 -I 10.1.0.1 10.2.0.1
    ping=$spawned
    sleep 1.5
    one_cut hole "a black hole swallows this connection; others pass, and nobody is told"
    one_cut nat "the NAT forgets: to east, the next segment comes from a stranger"
    one_cut reset "a firewall resets the connection (RST); the next one goes through the relay"
    one_cut fin "the relay goes away (FIN to both), and another one takes its place"
    title "what the ping and iperf3 saw of it"
    kill -0 "$client" 2>/dev/null || fail_demo "iperf3 ended"
    kill -INT "$ping" "$client"
    wait_for 15 grep -q transmitted "$lab_dir/ping" || fail_demo "ping did not end"
    wait_for 15 grep -q sender "$lab_dir/iperf3" || fail_demo "iperf3 did not end"
    grep -E 'packets transmitted' "$lab_dir/ping"
    grep -E 'sender' "$lab_dir/iperf3"
    sent=$(sed -n 's/^\([0-9]*\) packets transmitted.*/\1/p' "$lab_dir/ping")
    received=$(sed -n 's/.* \([0-9]*\) received.*/\1/p' "$lab_dir/ping")
    [ "$received" -gt 0 ] || fail_demo "no ping was answered"
    [ "$(reconnects)" = $cuts ] || fail_demo "$cuts cuts, but $(reconnects) new connections"
    loss=$(((sent - received) * 100 / sent))%
    figures="ping_loss=$loss reconnects=$cuts worst_ms=$worst same_spis=yes"
}
