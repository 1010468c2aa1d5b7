"""Tables of what suite.py measured: Markdown, one for each part, the goals, and what README.md shows."""
import re
import statistics

SHOWN = {  # peers in their order, and what people call them
    "plain-tcp": "plain TCP, no tunnel", "bound-copy-mtu1400": "`bound copy`", "bound-seg-mtu1400": "`bound seg`",
    "iketcp-tcp-mtu1400": "**iketcp over TCP**", "iketcp-tcp-mtu1400-cubic": "iketcp over TCP, cubic",
    "iketcp-tcp-mtu1400-aggfrag": "iketcp over TCP, `aggfrag=yes`", "iketcp-tcp-mtu65000": "iketcp over TCP, `mtu=65000`", "iketcp-udp-mtu1400": "**iketcp over UDP**",
    "openvpn-tcp": "OpenVPN over TCP", "ocserv-tls": "ocserv, openconnect (TLS)",
    "strongswan-libipsec-udp": "strongSwan libipsec (UDP)", "wireguard-go-udp": "wireguard-go (UDP)",
    "handshakes-udp-3000": "3,000 over UDP", "handshakes-udp-10000": "10,000 over UDP", "handshakes-tcp-1000": "1,000 over TCP",
    "handshakes-tcp-8000": "8,000 over TCP", "setup": "iketcp", "cipher": "AES-128-GCM"}
OTHERS = ["openvpn-tcp", "ocserv-tls", "strongswan-libipsec-udp", "wireguard-go-udp"]
OTHER_UDP = ["strongswan-libipsec-udp", "wireguard-go-udp"]


def time(us):
    return f"{us:.0f} us" if us < 1000 else f"{us / 1000:.1f} ms"


def number(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


STREAM = [("throughput_mbps", "Mbit/s", number), ("daemon_cpu_s_per_gb", "daemons' CPU s/GB", lambda v: f"{v:.2f}" if v else ""),
          ("rtt_p50_us", "idle p50", time), ("rtt_p95_us", "p95", time),
          ("loaded_rtt_p50_us", "under load p50", time), ("loaded_rtt_p95_us", "p95", time)]
MEMORY = [("client_mb", "client MB", lambda v: f"{v:.1f}" if v else ""), ("server_mb", "server MB", lambda v: f"{v:.1f}" if v else "")]
LINE = [STREAM[0], *STREAM[2:]]
WIDE = [("down_mbps", "one stream back", number), ("up8_mbps", "8 streams", number), ("down8_mbps", "8 back", number),
        ("message64_mbps", "64 B", number), ("message1024_mbps", "1 KiB", number), ("message16384_mbps", "16 KiB", number),
        ("message65536_mbps", "64 KiB", number)]
HANDSHAKES = [("handshakes_per_s", "per second", number), ("handshakes_per_core_s", "per second and core of the gateway", number),
              ("handshake_p50_ms", "p50 ms", number), ("handshake_p95_ms", "p95 ms", number)]
PARTS = {
    "stream": ("One TCP stream (cubic) inside, AES-128-GCM, inner MTU 1,400 unless it says so, everything on this one machine", STREAM + MEMORY),
    "line": ("Behind a line of 100 Mbit/s with a queue of 50 ms (`LINK=100mbit`); ping beside one stream", LINE),
    "loss": ("That line with 20 ms of delay each way and 1 % loss each way (`bench/lossy.c`)", LINE),
    "wide": ("Mbit/s the other way, with 8 streams, and by the size of what is written at once", WIDE),
    "setup": ("How long `iketcp up` takes, in ms", [
        ("udp_open_ms", "over UDP", number), ("udp_blocked_ms", "UDP blocked, nothing known", number),
        ("tcp_known_ms", "UDP blocked, TCP known", number)]),
    "handshakes": ("Handshakes by PSK: IKE SA and Child SA, X25519", HANDSHAKES),
    "clients": ("Many clients that made their tunnel and are idle; memory of the gateway's two processes", [
        *HANDSHAKES[:2], ("idle_mb", "MB more than with none", number), ("jain", "all send: Jain's index", lambda v: f"{v:.3f}")]),
    "cipher": ("AES-128-GCM alone, one thread: `openssl speed` in Gbit/s; nanoseconds for a packet of 1,400 octets in esp/", [
        ("openssl_1440_gbps", "1,440 octets", number), ("openssl_16384_gbps", "16 KiB", number),
        ("libcrypto_seal_ns", "seal, libcrypto", number), ("libcrypto_open_ns", "open", number),
        ("fastest_seal_ns", "seal, what is chosen here", number), ("fastest_open_ns", "open", number)]),
}


def peers_of(part):
    known = [peer for peer in SHOWN if peer in part["values"]]
    return known + [peer for peer in part["values"] if peer not in SHOWN]


def median(results, part, peer, key):
    """None where it was not measured"""
    values = results.get(part, {}).get("values", {}).get(peer, {}).get(key)
    return statistics.median(values) if values else None


def table(results, name, peers=None, columns=None):
    columns = [column for column in columns or PARTS[name][1]
               if any(column[0] in values for values in results[name]["values"].values())]
    lines = ["| | " + " | ".join(head for _, head, _ in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for peer in peers or peers_of(results[name]):
        cells = [(median(results, name, peer, key), show) for key, _, show in columns]
        if any(value is not None for value, _ in cells):
            lines.append(f"| {SHOWN.get(peer, peer)} | " + " | ".join("" if v is None else show(v) for v, show in cells) + " |")
    return "\n".join(lines) + "\n"


def where(part):
    m = part["machine"]
    rounds = part["rounds"]
    return (f"Measured on {m['processor']}, {m['cores']} cores, Linux {m['kernel']}, the host's congestion control {m['congestion']}; "
            + (f"medians of {rounds} rounds in turn" if rounds > 1 else "one round") + f", {part['when']}.")


def block(results, name):
    return f"{PARTS[name][0]}. {where(results[name])}\n\n{table(results, name)}"


# ---- the goals ----

def best(results, part, peers, key, least=False):
    values = [v for v in (median(results, part, peer, key) for peer in peers) if v is not None]
    return (min(values) if least else max(values)) if values else None


def ratio(a, b):
    return None if a is None or not b else a / b


def goals(results):
    """(what, goal, measured as text, reached) of each; measured None: not measured"""
    def of(peer, key, part="stream"):
        return median(results, part, peer, key)

    def times(value):
        return f"{value:.1f} times"

    def percent(value):
        return f"{100 * value:.0f} %"

    def seconds(value):
        return f"{value:.2f} s"
    tcp, large, udp, key, cpu = "iketcp-tcp-mtu1400", "iketcp-tcp-mtu65000", "iketcp-udp-mtu1400", "throughput_mbps", "daemon_cpu_s_per_gb"
    others = best(results, "stream", OTHERS, key)
    others_cpu = best(results, "stream", OTHERS, cpu, least=True)
    plain_line = of("plain-tcp", key, "line")
    idle_loss, loaded_loss = of(tcp, "rtt_p50_us", "loss"), of(tcp, "loaded_rtt_p95_us", "loss")
    rows = [
        ("over TCP beside OpenVPN over TCP", 15, 1, ratio(of(tcp, key), of("openvpn-tcp", key)), times),
        ("over TCP beside the best of the other VPNs", 9, 1, ratio(of(tcp, key), others), times),
        ("over TCP beside `bound copy`", 0.6, 1, ratio(of(tcp, key), of("bound-copy-mtu1400", key)), percent),
        ("over TCP beside `bound seg`", 1, 1, ratio(of(tcp, key), of("bound-seg-mtu1400", key)), times),
        ("CPU per GB beside the thriftiest of the other VPNs", 0.1, -1, ratio(of(tcp, cpu), others_cpu), percent),
        ("large inner packets beside OpenVPN over TCP", 20, 1, ratio(of(large, key), of("openvpn-tcp", key)), times),
        ("large inner packets beside `bound copy`", 0.8, 1, ratio(of(large, key), of("bound-copy-mtu1400", key)), percent),
        ("many packets in one (AGGFRAG) beside `bound copy`", 0.8, 1,
         ratio(of("iketcp-tcp-mtu1400-aggfrag", key), of("bound-copy-mtu1400", key)), percent),
        ("CPU per GB with large inner packets", 1.5, -1, of(large, cpu), seconds),
        ("over UDP beside the better of libipsec and wireguard-go", 8, 1, ratio(of(udp, key), best(results, "stream", OTHER_UDP, key)), times),
        ("idle round trip beside OpenVPN over TCP", 0.5, -1, ratio(of(tcp, "rtt_p50_us"), of("openvpn-tcp", "rtt_p50_us")), percent),
        ("idle round trip beside `bound copy`", 1, -1, ratio(of(tcp, "rtt_p50_us"), of("bound-copy-mtu1400", "rtt_p50_us")), percent),
        ("round trip under load, no bottleneck, p50", 1000, -1, of(tcp, "loaded_rtt_p50_us"), time),
        ("100 Mbit/s: ping under load, p50", 10000, -1, of(tcp, "loaded_rtt_p50_us", "line"), time),
        ("100 Mbit/s: throughput beside plain TCP", 0.9, 1, ratio(of(tcp, key, "line"), plain_line), percent),
        ("100 Mbit/s, large inner packets: throughput beside plain TCP", 0.95, 1, ratio(of(large, key, "line"), plain_line), percent),
        ("delay and loss: ping under load p95 beside idle p50", 3, -1, ratio(loaded_loss, idle_loss), times),
        ("set-up where UDP is blocked and nothing is known", 2000, -1, of("setup", "udp_blocked_ms", "setup"), lambda v: f"{v:.0f} ms"),
        ("handshakes per second and core", 3000, 1, of("handshakes-udp-3000", "handshakes_per_core_s", "handshakes"), number),
        ("10,000 idle clients over TCP, MB", 100, -1, of("handshakes-tcp-10000", "idle_mb", "clients"), number),
        ("1,000 clients that all send, Jain's index", 0.95, 1, of("handshakes-tcp-1000", "jain", "clients"), lambda v: f"{v:.3f}"),
    ]
    return [(what, ("at least " if way > 0 else "at most ") + show(goal), None if value is None else show(value),
             value is not None and (value - goal) * way >= 0) for what, goal, way, value, show in rows]


def goals_table(results):
    lines = ["| | goal | measured | |", "|---|---|---|---|"]
    for what, goal, measured, reached in goals(results):
        lines.append(f"| {what} | {goal} | {measured or 'not measured'} | {'reached' if reached else 'missed' if measured else ''} |")
    return "\n".join(lines) + "\n"


# ---- documents ----

def readme(results):
    """The few rows that a reader of the README wants, and a sentence about the line."""
    stream = results["stream"]
    shown = [peer for peer in peers_of(stream) if peer not in ("iketcp-tcp-mtu65000", "iketcp-tcp-mtu1400-aggfrag")]
    text = f"{where(stream)}\n\n" + table(results, "stream", shown, [c for c in STREAM if not c[1].startswith("p95")])
    plain, loaded = (median(results, "line", "plain-tcp", key) for key in ("throughput_mbps", "loaded_rtt_p50_us"))
    ours, ours_loaded = (median(results, "line", "iketcp-tcp-mtu1400", key) for key in ("throughput_mbps", "loaded_rtt_p50_us"))
    if None not in (plain, loaded, ours, ours_loaded):
        text += (f"\nBehind a line of 100 Mbit/s with a 50 ms queue plain TCP reaches {plain:.0f} Mbit/s with a ping of {time(loaded)} beside it; a\n"
                 f"saturating stream through iketcp over TCP reaches {ours:.0f} Mbit/s with {time(ours_loaded)}: packets wait unsealed, flow by\n"
                 "flow, and the stream runs a few milliseconds ahead of the line.\n")
    return text


def all_of(results):
    blocks = [block(results, name) for name in PARTS if name in results]
    return "\n".join(blocks + ["Goals:\n\n" + goals_table(results)] if "stream" in results else blocks)


def put(path, blocks):
    """Replaces what stands between `<!-- bench NAME -->` and `<!-- end -->`, for the names in `blocks`."""
    def new(match):
        return match[0] if match[1] not in blocks else f"<!-- bench {match[1]} -->\n\n{blocks[match[1]].strip()}\n\n<!-- end -->"
    text = path.read_text()
    path.write_text(re.sub(r"<!-- bench (\w+) -->.*?<!-- end -->", new, text, flags=re.S))


def write(results, top):
    blocks = {name: block(results, name) for name in PARTS if name in results}
    if "stream" in results:
        blocks.update(goals=goals_table(results), readme=readme(results))
    put(top / "doc/performance.md", blocks)
    put(top / "README.md", blocks)
