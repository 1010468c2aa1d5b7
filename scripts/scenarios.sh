# shellcheck shell=bash
# Sourced by the demo, with the lab's functions: what lies between west and east in each scenario, and what that takes in
# the configuration. scenario_NAME is called when the lab is there and before lab_config; it sets
#   transport    what must carry the tunnel in the end
#   setup_east, conn_west, conn_east    lines of the configuration (see lab_config)
#   udp_tried    yes: the firewall must have dropped something
#
# scenario_packages: groups of packaging/debian-packages, by name of the scenario.

scenario_packages() {
    case $1 in
        proxy) echo proxy ;;
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
    in_west ping -n -i 0.1 -w 8 -W 1 -I 10.1.0.1 10.2.0.1 >"$lab_dir/ping-roam" &
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
