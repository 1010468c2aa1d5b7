"""Bars as SVG, drawn by hand: throughput, CPU per GB and round trips, one file for one stream and one for the line of 100 Mbit/s."""
import html
import math

import tables

WIDTH, LABEL, ROW, TOP = 760, 210, 22, 46
OURS, OTHER, PALE = "#2f6f9f", "#9a9a9a", "#c9d9e6"


def text(x, y, words, size=12, anchor="start", colour="#222", weight="normal"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" '
            f'font-weight="{weight}">{html.escape(words)}</text>')


def name_of(peer):
    return tables.SHOWN.get(peer, peer).replace("*", "").replace("`", "")


def bars(y, title, rows, show, logarithmic=False):
    """rows: (peer, value, second value or None): the second is drawn paler behind the first. (elements, height)"""
    most = max(max(v, w or 0) for _, v, w in rows)
    least = min(v for _, v, _ in rows)
    room = WIDTH - LABEL - 130

    def length(value):
        if not logarithmic:
            return room * value / most
        low = math.log10(least) - 0.3
        return room * (math.log10(value) - low) / (math.log10(most) - low)
    out = [text(0, y + 14, title, 13, weight="bold")]
    for i, (peer, value, second) in enumerate(rows):
        at = y + 26 + i * ROW
        colour = OURS if peer.startswith("iketcp") else OTHER
        out.append(text(LABEL - 8, at + 13, name_of(peer), anchor="end"))
        if second is not None:
            out.append(f'<rect x="{LABEL}" y="{at}" width="{length(second):.1f}" height="{ROW - 6}" fill="{PALE}"/>')
        out.append(f'<rect x="{LABEL}" y="{at}" width="{max(length(value), 1):.1f}" height="{ROW - 6}" fill="{colour}"/>')
        words = show(value) if second is None else f"{show(value)}, p95 {show(second)}"
        out.append(text(LABEL + max(length(value), length(second or value)) + 5, at + 13, words, 11))
    return out, 26 + len(rows) * ROW + 16


def rows_of(results, part, key, second=None):
    rows = []
    for peer in tables.peers_of(results[part]):
        value = tables.median(results, part, peer, key)
        if value:
            rows.append((peer, value, tables.median(results, part, peer, second) if second else None))
    return rows


def picture(results, part, heading, charts):
    out, y = [text(0, 16, heading, 14, weight="bold"), text(0, 33, tables.where(results[part]), 10, colour="#666")], TOP
    for title, rows, show, logarithmic in charts:
        if rows:
            more, height = bars(y, title, rows, show, logarithmic)
            out, y = out + more, y + height
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 -4 {WIDTH + 40} {y + 8}" font-family="sans-serif">'
            f'<rect x="-10" y="-4" width="{WIDTH + 40}" height="{y + 8}" fill="white"/>\n' + "\n".join(out) + "\n</svg>\n")


def write_all(results, folder):
    if "stream" in results:
        charts = [("throughput, Mbit/s", rows_of(results, "stream", "throughput_mbps"), tables.number, False),
                  ("CPU seconds of both daemons per GB", rows_of(results, "stream", "daemon_cpu_s_per_gb"), lambda v: f"{v:.2f}", False),
                  ("round trip, idle (logarithmic)", rows_of(results, "stream", "rtt_p50_us", "rtt_p95_us"), tables.time, True),
                  ("round trip beside the stream (logarithmic)",
                   rows_of(results, "stream", "loaded_rtt_p50_us", "loaded_rtt_p95_us"), tables.time, True)]
        (folder / "bench-stream.svg").write_text(picture(results, "stream", "One TCP stream through the tunnel", charts))
    if "line" in results:
        charts = [("throughput, Mbit/s", rows_of(results, "line", "throughput_mbps"), tables.number, False),
                  ("round trip beside the stream (logarithmic)",
                   rows_of(results, "line", "loaded_rtt_p50_us", "loaded_rtt_p95_us"), tables.time, True)]
        (folder / "bench-line.svg").write_text(picture(results, "line", "Behind 100 Mbit/s with a queue of 50 ms", charts))
