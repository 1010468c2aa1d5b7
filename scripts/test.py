"""The test runner behind ./run test: runs groups of tests, each of which prints "ok NAME", "not ok NAME" or
"ok NAME # SKIP why" lines (TAP), shows progress and counts. What a failing group printed follows its line."""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
SANITIZED, RELEASE = "build-test", "build"
SIM_SEEDS = 10000
NET_JOBS = 2
DEMOS = [("tcp", "--transport=tcp", "transport=tcp"), ("udp", "--transport=udp", "transport=udp"),
         ("tls", "--scenario=tls", "scenario=tls transport=tls"), ("proxy", "--scenario=proxy", "scenario=proxy transport=tls"),
         ("roam", "--scenario=roam", "scenario=roam transport=tcp"),
         ("reconnect", "--scenario=reconnect", "scenario=reconnect transport=tcp")]
SANITIZER = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}


class Count:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []
        self.lock = threading.Lock()

    def add(self, name, verdict, why=""):
        with self.lock:
            if verdict == "ok":
                self.passed += 1
            elif verdict == "skip":
                self.skipped.append(f"{name}: {why}")
            else:
                self.failed.append(f"{name}{': ' + why if why else ''}")


def run(command, seconds, env=None):
    """(status, output); the whole process group is ended at the time limit."""
    process = subprocess.Popen(command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace", start_new_session=True, env={**os.environ, **(env or {})})
    try:
        output, _ = process.communicate(timeout=seconds)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            output, _ = process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
        return -1, output + f"\n(ended: it took longer than {seconds} s)"


def tap(count, group, status, output):
    """Counts TAP lines; a group that failed without saying so is one failure of its own."""
    failed = False
    seen = 0
    for line in output.splitlines():
        match = re.match(r"(not ok|ok)\b(?: \d+)?(?: - | )(.*?)(?: # SKIP ?(.*))?$", line)
        if not match:
            continue
        seen += 1
        name = f"{group}: {match[2]}"
        if match[1] == "not ok":
            failed = True
            count.add(name, "fail")
        elif match[3] is not None:
            count.add(name, "skip", match[3])
        else:
            count.add(name, "ok")
    if status != 0 and not failed:
        count.add(group, "fail", f"ended with status {status}")
        failed = True
    elif status == 0 and seen == 0:
        count.add(group, "fail", "no test ran in it")
        failed = True
    return not failed


def group(count, name, command, seconds, env=None):
    begin = time.monotonic()
    status, output = run(command, seconds, env)
    good = tap(count, name, status, output)
    print(f"{'ok    ' if good else 'FAILED'} {name} ({time.monotonic() - begin:.0f} s)", flush=True)
    show(output, good)
    return good


def show(output, good):
    """Of a group that passed, the cells of its matrix; of one that failed, which tests did, and the end of what it said."""
    lines = output.splitlines()
    if good:
        chosen = [line[2:] for line in lines if line.startswith("# |")]
    else:
        end = lines[-60:]
        chosen = [line for line in lines[:-60] if line.startswith("not ok")] + end
    for line in chosen:
        print("    " + line, flush=True)


def step(count, name, command, seconds, env=None):
    """A command that is one test: it passes when its status is 0."""
    begin = time.monotonic()
    status, output = run(command, seconds, env)
    count.add(name, "ok" if status == 0 else "fail")
    print(f"{'ok    ' if status == 0 else 'FAILED'} {name} ({time.monotonic() - begin:.0f} s)", flush=True)
    if status != 0:
        for line in output.splitlines()[-60:]:
            print("    " + line, flush=True)
    return status == 0


def build(count, directory, *options):
    setup = ["meson", "setup", "--werror", directory, *options]
    if (TOP / directory / "build.ninja").exists():
        setup = ["meson", "configure", directory, "-Dwerror=true"]
    return step(count, f"build: {directory} has no warning", ["sh", "-c", f"{' '.join(setup)} && ninja -C {directory}"], 900)


def unit_tests():
    tests = json.loads(subprocess.run(["meson", "introspect", "--tests", SANITIZED], cwd=TOP, capture_output=True, text=True,
                                      check=True).stdout)
    return [(t["name"], t["cmd"]) for t in tests if any(s.split(":")[-1] == "unit" for s in t["suite"])]


def lab_tests(folder):
    """Programs that make labs of network namespaces: tests/net against ourselves, tests/interop against other people's."""
    return [(p.name, [str(p)]) for p in sorted((TOP / "tests" / folder).iterdir())
            if p.is_file() and os.access(p, os.X_OK) and "." not in p.name]


def in_parallel(jobs, workers):
    """Runs callables, at most `workers` at once."""
    queue = list(reversed(jobs))
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                if not queue:
                    return
                job = queue.pop()
            job()
    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main():
    parts = [a for a in sys.argv[1:] if not a.startswith("-")]
    wanted = lambda name: not parts or any(part in name for part in parts)
    listing = "--list" in sys.argv
    count = Count()
    begin = time.monotonic()
    if listing:
        checks = subprocess.run([sys.executable, "scripts/check.py", "--list"], cwd=TOP, capture_output=True, text=True).stdout
        print("\n".join("check: " + c for c in checks.split()))
        if (TOP / SANITIZED / "build.ninja").exists():
            print("\n".join("unit: " + name for name, _ in unit_tests()))
        print("sim: seeds\nsim: seeds under sanitizers\nmutants: planted faults")
        for name, command in lab_tests("net") + lab_tests("interop"):
            print(subprocess.run([*command, "--list"], cwd=TOP, capture_output=True, text=True).stdout, end="")
        print("\n".join(f"demo: {name}" for name, _, _ in DEMOS))
        return 0

    if not build(count, RELEASE) or not build(count, SANITIZED, "-Db_sanitize=address,undefined", "-Doptimization=1"):
        return finish(count, begin)
    if wanted("check"):
        group(count, "check", [sys.executable, "scripts/check.py"], 900)
    in_parallel([lambda n=name, c=command: group(count, f"unit: {n}", c, 300, {**SANITIZER, "CMOCKA_MESSAGE_OUTPUT": "TAP"})
                 for name, command in unit_tests() if wanted("unit: " + name)], 2)
    if wanted("sim"):
        group(count, "sim", ["scripts/sim", f"--seeds={SIM_SEEDS}", "--tap"], 1500)
        group(count, "sim under sanitizers", ["scripts/sim", "--seeds=300", "--tap", f"--build={SANITIZED}"], 900, SANITIZER)
    if wanted("mutants"):
        group(count, "mutants", ["scripts/mutants", "--tap"], 1500)
    in_parallel([lambda n=f"{folder}: {name}", c=command: group(count, n, c, seconds)
                 for folder, seconds in (("interop", 2400), ("net", 600)) for name, command in lab_tests(folder)
                 if wanted(f"{folder}: {name}")], NET_JOBS)
    for name, option, line in DEMOS:
        if not wanted(f"demo: {name}"):
            continue
        if os.geteuid() != 0:
            count.add(f"demo: {name}", "skip", "needs root")
            continue
        step(count, f"demo: {name}", ["sh", "-c", f"scripts/demo {option} | tee /dev/stderr | tail -n 1 |"
                                      f" grep -q '^demo: PASS {line} '"], 180)
    return finish(count, begin)


def finish(count, begin):
    for line in count.skipped:
        print(f"skipped: {line}")
    for line in count.failed:
        print(f"failed: {line}")
    print(f"took {time.monotonic() - begin:.0f} s")
    print(f"{count.passed} passed, {len(count.failed)} failed, {len(count.skipped)} skipped", flush=True)
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
