"""What ./run profile took, as a table of stages and flame graphs. Reads OUT/SIDE.data (perf) or OUT/SIDE.callgrind; writes OUT/SIDE.folded (a line for
each stack: frames from the outermost inwards with semicolons between, kernel frames with _[k] behind, a blank, how often), OUT/SIDE.svg
and OUT/stages.md."""
import argparse
import collections
import html
import pathlib
import re
import subprocess

import tables

TOP = pathlib.Path(__file__).resolve().parent.parent

# The innermost frame that one of these names decides what a sample was spent on.
STAGES = [
    ("cipher: seal", r"(esp_seal|cipher_seal)$"),
    ("cipher: open", r"(esp_open|cipher_open)$"),
    ("cutting bursts, the one copy", r"(cut_\w+|copy_\w+|pack)$"),
    ("joining segments, inner checksums", r"(join_\w+|sum_\w+|sort)$"),
    ("TUN: reads", r"(\w*readv|tun_chr_read_iter)(_\[k\])?$"),
    ("TUN: writes, and the kernel's way up behind them", r"(\w*writev|tun_chr_write_iter)(_\[k\])?$"),
    ("outer socket: writes, and the kernel's way to the peer's socket", r"(stream_write_frames|udp_send_packets|\w*_sendm?msg|tcp_sendmsg)(_\[k\])?$"),
    ("outer socket: reads", r"(stream_read|udp_receive\w*|\w*_recv|\w*recvfrom\w*|\w*recvm?msg)(_\[k\])?$"),
    ("policy: whose packet, which SA", r"(traffic_\w+|route_again|admit)$"),
    ("queue, pacing", r"(queue_\w+|codel_\w+|link_pace|pace_\w+|outbound_serve|one_turn|one_read)$"),
    ("framing, batches", r"(framer_next|stream_payloads|inbound_\w+|outbound_readable|frame_header)$"),
    ("the cipher's library", r"lib(IPSec_MB|crypto)\S*$"),
    ("starting: the dynamic linker", r"ld-linux\S*$"),
    ("libevent", r"libevent\S*$"),
    ("waiting for events", r"(\w*epoll_\w*wait\w*|event_base_loop)(_\[k\])?$"),
]
COMPILED = [(name, re.compile(pattern)) for name, pattern in STAGES]


def stage_of(frames):
    for frame in reversed(frames):
        for name, pattern in COMPILED:
            if pattern.match(frame):
                return name
    return "everything else"


FRAME = re.compile(r"^\s+[0-9a-f]+ (.*) \((\S+)\)$")


def from_perf(path):
    """perf script writes stacks from the innermost frame outwards, with an empty line behind each"""
    script = subprocess.run(["perf", "script", "-i", path, "-F", "ip,sym,dso"], capture_output=True, text=True, check=True)
    stacks, frames = collections.Counter(), []
    for line in script.stdout.splitlines() + [""]:
        match = FRAME.match(line)
        if match:
            name = match[1] if match[1] != "[unknown]" else pathlib.Path(match[2]).name.split("-")[0]
            frames.append(name + "_[k]" * match[2].startswith("[kernel"))
        elif frames:
            stacks[tuple(reversed(frames))] += 1
            frames = []
    return stacks


def from_callgrind(path):
    """Instructions of each function by itself: stacks of its library and itself. A name is given once, then its number."""
    stacks, names, now, skip = collections.Counter(), {}, {"ob": "?", "fn": "?"}, False
    for line in path.read_text().splitlines():
        match = re.match(r"(c?)(ob|fn)=(\(\d+\))(?: (.*))?$", line)
        if match:
            name = names.setdefault((match[2], match[3]), match[4] or "?")
            if not match[1]:  # cob, cfn: what is called
                now[match[2]] = name
        elif line.startswith("calls="):
            skip = True  # the next line is what the call cost, inclusive
        elif re.match(r"[+\-*\d]", line):
            if not skip:
                stacks[(pathlib.Path(now["ob"]).name, now["fn"])] += int(line.split()[-1])
            skip = False
    return stacks


def read(out, side):
    """None: that side was not recorded"""
    if (out / f"{side}.data").exists():
        stacks = from_perf(out / f"{side}.data")
    elif (out / f"{side}.callgrind").exists():
        stacks = from_callgrind(out / f"{side}.callgrind")
    else:
        return None
    (out / f"{side}.folded").write_text("".join(f"{';'.join(frames)} {count}\n" for frames, count in sorted(stacks.items())))
    return stacks


def shares(stacks):
    """{stage: (share of all, share of all that is the kernel's)}"""
    all_of, kernel = collections.Counter(), collections.Counter()
    for frames, count in stacks.items():
        stage = stage_of(frames)
        all_of[stage] += count
        kernel[stage] += count if frames[-1].endswith("_[k]") else 0
    total = sum(all_of.values()) or 1
    return {stage: (100 * all_of[stage] / total, 100 * kernel[stage] / total) for stage in all_of}


def table(sides):
    rows = {side: shares(stacks) for side, stacks in sides.items()}
    seen = [name for name, _ in STAGES] + ["everything else"]
    lines = ["| stage | " + " | ".join(f"{side} | of it in the kernel" for side in rows) + " |", "|---" * (1 + 2 * len(rows)) + "|"]
    for stage in seen:
        parts = [rows[side].get(stage, (0, 0)) for side in rows]
        if max(p[0] for p in parts) >= 0.5:
            lines.append(f"| {stage} | " + " | ".join(f"{a:.1f} % | {b:.1f} %" if a else "| " for a, b in parts) + " |")
    return "\n".join(lines) + "\n"


# ---- flame graph ----

WIDTH, ROW, LEAST = 1180, 17, 0.4  # LEAST: of 1180, what is narrower is left out


def tree(stacks):
    root = {"count": 0, "below": {}}
    for frames, count in stacks.items():
        node = root
        node["count"] += count
        for frame in frames:
            node = node["below"].setdefault(frame, {"count": 0, "below": {}})
            node["count"] += count
    return root


def depth_of(node, scale):
    wide = [below for below in node["below"].values() if below["count"] * scale >= LEAST]
    return 1 + max((depth_of(below, scale) for below in wide), default=0)


def draw(node, name, x, level, scale, height, out, total):
    width = node["count"] * scale
    if width < LEAST:
        return
    y = height - (level + 1) * ROW
    colour = "#8fb3cf" if name.endswith("_[k]") else "#e6a15c" if level else "#cccccc"
    shown = html.escape(name.removesuffix("_[k]"))
    label = shown if len(shown) * 6.6 < width else ""
    out.append(f'<g><title>{shown}: {100 * node["count"] / total:.1f} %</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 1}" '
               f'fill="{colour}"/>' + (f'<text x="{x + 3:.1f}" y="{y + 12}">{label}</text>' if label else "") + "</g>")
    for frame, below in sorted(node["below"].items()):
        draw(below, frame, x, level + 1, scale, height, out, total)
        x += below["count"] * scale


def flame(stacks, title):
    root = tree(stacks)
    total = root["count"] or 1
    scale = WIDTH / total
    height = (depth_of(root, scale) + 1) * ROW + 10
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + 4}" font-family="monospace" font-size="11">'
           f'<rect width="{WIDTH}" height="{height + 4}" fill="white"/>']
    draw(root, title, 0, 0, scale, height, out, total)
    return "\n".join(out) + "\n</svg>\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--how", default="")
    given = parser.parse_args()
    out = pathlib.Path(given.out)
    sides = {side: stacks for side in ("sender", "receiver", "client", "server") if (stacks := read(out, side))}
    text = f"{given.how}\n\n{table(sides)}".lstrip()
    (out / "stages.md").write_text(text)
    for side, stacks in sides.items():
        (out / f"{side}.svg").write_text(flame(stacks, f"{side}: {sum(stacks.values())} samples"))
    print(text)
    print(f"{', '.join(f'{out}/{side}.svg' for side in sides)}: flame graphs (blue: the kernel)")
    if given.write:
        tables.put(TOP / "doc/performance.md", {"profile": text})
        print("doc/performance.md holds the table now")


if __name__ == "__main__":
    main()
