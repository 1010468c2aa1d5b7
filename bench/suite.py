"""The suite behind ./run bench: runs the scripts beside it in turn, round after round, so that noise hits all alike, and keeps every
figure in OUT/results.json. tables.py makes tables of them, plot.py pictures."""
import argparse
import collections
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import plot
import tables

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent

OURS = ["iketcp|tcp", "iketcp|tcp|65000", "iketcp|udp"]
BOUNDS = ["bound|copy", "bound|seg"]
OTHERS = ["openvpn-tcp", "ocserv-tls", "strongswan-libipsec", "wireguard-go"]
CUBIC = "iketcp|tcp|1400|tcp-congestion=cubic"
AGGFRAG = "iketcp|tcp|1400|aggfrag=yes"
LINE = {"LINK": "100mbit"}
LOSS = {"LINK": "100mbit", "DELAY": "20", "LOSS": "1"}

# What there is to measure: which scripts, what they are told, seconds of each stream, in which rounds; `others`: with --all
Part = collections.namedtuple("Part", "what scripts environment seconds every others")
PARTS = {
    "stream": Part("one stream, round trips, memory", ["plain-tcp", *BOUNDS, *OURS, AGGFRAG],
                   {"MEASURES": "rtt stream loaded memory"}, 3, 1, True),
    "line": Part("behind a line of 100 Mbit/s with a queue of 50 ms", ["plain-tcp", "bound|copy", *OURS, CUBIC],
                 {**LINE, "MEASURES": "rtt both"}, 4, 1, True),
    "setup": Part("how long `iketcp up` takes", ["setup"], {}, 0, 1, False),
    "handshakes": Part("handshakes per second", ["handshakes|udp|3000", "handshakes|tcp|1000"], {}, 0, 1, False),
    "cipher": Part("the cipher alone", ["cipher"], {}, 0, 0, False),
    "wide": Part("the other way, 8 streams, sizes of messages", ["plain-tcp", "iketcp|tcp", "iketcp|udp"],
                 {"MEASURES": "down up8 down8 messages"}, 2, 2, True),
    "loss": Part("that line with 20 ms each way and 1 % loss", ["plain-tcp", "iketcp|tcp", CUBIC, "iketcp|udp"],
                 {**LOSS, "MEASURES": "rtt both"}, 8, 2, True),
    "clients": Part("many clients, idle and active", ["handshakes|tcp|1000|64|10", "handshakes|tcp|10000", "handshakes|udp|10000"], {}, 0, 0, False),
}
QUICK = ["stream", "setup", "handshakes", "cipher"]


def arguments():
    parser = argparse.ArgumentParser(prog="./run bench", allow_abbrev=False,
                                     description="Ours beside plain TCP and the yardstick bench/bound, in network namespaces. Prints tables; "
                                                 "writes results.json, tables.md and SVGs.")
    parser.add_argument("--quick", action="store_true", help="one round of " + ", ".join(QUICK) + " with short streams: about a minute")
    parser.add_argument("--runs", type=int, help="rounds, whose medians are shown (5)")
    parser.add_argument("--parts", help="of " + ",".join(PARTS) + " (all)")
    parser.add_argument("--all", action="store_true", help="other VPNs too: OpenVPN, ocserv, strongSwan, wireguard-go, installed where missing")
    parser.add_argument("--only", help="scripts whose name contains this")
    parser.add_argument("--seconds", type=int, help="of each stream (3, 4, 2, 8, by part)")
    parser.add_argument("--minutes", type=float, help="begin no further round that would end later than this")
    parser.add_argument("--out", default="build/bench", help="where results go (build/bench); parts that are not measured stay there")
    parser.add_argument("--write", action="store_true", help="renews the tables and pictures of doc/performance.md and README.md from --out")
    parser.add_argument("--no-measuring", action="store_true", help="only tables and pictures, from what is in --out")
    given = parser.parse_args()
    given.parts = given.parts.split(",") if given.parts else QUICK if given.quick else list(PARTS)
    for part in given.parts:
        if part not in PARTS:
            parser.error(f"there is no part '{part}'; there are {', '.join(PARTS)}")
    given.runs = given.runs or (1 if given.quick else 5)
    given.seconds = given.seconds or (2 if given.quick else None)
    return given


def scripts_of(part, given):
    scripts = part.scripts + (OTHERS if given.all and part.others else [])
    return [script for script in scripts if not given.only or given.only in script]


def run_script(script, environment):
    """{name: {key: value}}; empty and a line on standard error when it failed"""
    words = script.split("|")
    done = subprocess.run([HERE / words[0], *words[1:]], env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    if done.returncode != 0 or not done.stdout.strip():
        print(f"{script} failed: {(done.stderr.strip().splitlines() or ['said nothing'])[-1]}", file=sys.stderr)
        return {}
    name, *fields = done.stdout.split()
    return {name: {key: float(value) for key, value in (field.split("=") for field in fields)}}


def one_round(number, given, results, progress):
    for name in given.parts:
        part = PARTS[name]
        if number > 0 and (part.every == 0 or number % part.every != 0):
            continue
        environment = dict(part.environment, SECONDS_EACH=str(given.seconds or part.seconds))
        for script in scripts_of(part, given):
            progress(f"round {number + 1}: {name}, {script.replace('|', ' ')}")
            for peer, values in run_script(script, environment).items():
                for key, value in values.items():
                    results[name].setdefault(peer, {}).setdefault(key, []).append(value)


def machine():
    model = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return {"processor": model[1] if model else "?", "cores": os.cpu_count(), "kernel": os.uname().release,
            "congestion": pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()}


def measure(given):
    results = {name: {} for name in given.parts}
    begun, longest = time.monotonic(), 0.0

    def progress(text):
        if sys.stderr.isatty():
            print(f"\r\033[K{time.monotonic() - begun:4.0f} s  {text}", end="", file=sys.stderr, flush=True)
    rounds = 0
    for number in range(given.runs):
        started = time.monotonic()
        if number and given.minutes and started - begun + longest > given.minutes * 60:
            break
        one_round(number, given, results, progress)
        rounds, longest = rounds + 1, max(longest, time.monotonic() - started)
    progress("")
    took = time.monotonic() - begun
    print(f"{rounds} round{'s' * (rounds != 1)} in {took / 60:.1f} minutes", file=sys.stderr)
    return {name: {"rounds": rounds, "when": datetime.date.today().isoformat(), "machine": machine(), "values": values}
            for name, values in results.items() if values}


def main():
    given = arguments()
    out = pathlib.Path(given.out)
    out.mkdir(parents=True, exist_ok=True)
    kept = out / "results.json"
    results = json.loads(kept.read_text()) if kept.exists() else {}
    fresh = {} if given.no_measuring else measure(given)
    results.update(fresh)
    kept.write_text(json.dumps(results, indent=1) + "\n")
    text = tables.all_of(results)
    (out / "tables.md").write_text(text)
    plot.write_all(results, out)
    print(tables.all_of(results if given.no_measuring else fresh))
    print(f"{kept}: every figure; {out}/tables.md, {out}/*.svg")
    if given.write:
        tables.write(results, TOP)
        plot.write_all(results, TOP / "doc")
        print("doc/performance.md, doc/*.svg and README.md hold them now")
    return 0 if given.no_measuring or all(name in fresh for name in given.parts) else 1


if __name__ == "__main__":
    sys.exit(main())
