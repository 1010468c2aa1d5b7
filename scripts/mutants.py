"""Called by scripts/mutants: a copy of the tree for each core, built once; faults are planted, built and looked for in them side by side."""
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading

TOP = pathlib.Path(__file__).resolve().parent.parent
SEEDS = 2000
SECONDS = 240
say = threading.Lock()


class Mutant:
    def __init__(self, path):
        head = path.read_text().split("--- a/")[0]
        rows, test = re.search(r"^rows: (.*)$", head, re.M), re.search(r"^[Tt]est: (?:tests/unit/\w+/test_)?(\S+)$", head, re.M)
        self.path, self.name = path, path.stem
        self.rows = re.findall(r"\b[SCLKTO]\d+\b", rows[1]) if rows else []
        self.test = test[1].replace("_", "-", 1) if test and "-" not in test[1] else test[1] if test else "sim"


def rows_that_are_there():
    rows = re.findall(r"^\| ([SCLKTO]\d+) \| .* \| (.*) \|$", (TOP / "doc/conformance.rows.md").read_text(), re.M)
    return [row for row, where in rows if not where.startswith("not yet")]


def run(tree, *command, seconds=None):
    """Its exit status and what it said; a status of None: it took too long, which is noticed as well."""
    try:
        done = subprocess.run(command, cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds)
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, done.stdout.decode(errors="replace")


def target(test):
    if test == "sim":
        return "tests/sim/sim"
    return f"tests/unit/{test.split('-')[0]}/test_{test.replace('-', '_')}"


def found(tree, test, seeds):
    command = [f"build/{target(test)}"] + (["--first=1", f"--seeds={seeds}"] if test == "sim" else [])
    status, text = run(tree, *command, seconds=SECONDS)
    where = re.search(r"^(?:seed (\d+ failed.*)|\[  FAILED  \] (\w+))$", text, re.M)
    return status != 0, (where[1] or where[2]) if where else "it ended otherwise"


def judge(tree, mutant, explain):
    status, text = run(tree, "patch", "-s", "-p1", "-i", str(mutant.path))
    if status != 0:
        return f"not ok {mutant.name} (the patch does not apply any more)"
    try:
        status, text = run(tree, "ninja", "-j1", "-C", "build", target(mutant.test))
        if status != 0:
            return f"not ok {mutant.name} (it does not compile: {next((l for l in text.splitlines() if 'error' in l), '')})"
        noticed, where = found(tree, mutant.test, SEEDS)
    finally:
        run(tree, "patch", "-s", "-R", "-p1", "-i", str(mutant.path))
    if noticed:
        return f"ok {mutant.name}" + (f"\n    {' '.join(mutant.rows)}: {mutant.test}: {where}" if explain else "")
    return f"not ok {mutant.name} ({mutant.test} did not notice)"


def copy_tree(place):
    files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=TOP,
                           capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, files):
        if (TOP / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, place / name)


def build(place, tests):
    for command in (["meson", "setup", "build"], ["ninja", "-C", "build"] + sorted({target(test) for test in tests})):
        status, text = run(place, *command)
        if status != 0:
            sys.exit(text[-3000:] + "\nnot ok the unchanged tree builds")
    for test in sorted(tests):
        noticed, where = found(place, test, 50)
        if noticed:
            sys.exit(f"not ok the unchanged tree holds ({test}: {where})")
    print("ok the unchanged tree holds", flush=True)


def main():
    names = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    mutants = [Mutant(path) for path in sorted((TOP / "tests/mutants").glob("*.patch"))]
    rows = [] if names else [row for row in rows_that_are_there() if not any(row in m.rows for m in mutants)]
    chosen = [m for m in mutants if not names or m.name in names]
    failed = bool(rows)
    with tempfile.TemporaryDirectory(prefix="iketcp-mutants.") as place:
        trees = [pathlib.Path(place) / str(n) for n in range(min(os.cpu_count() or 1, len(chosen)))]
        copy_tree(trees[0])
        build(trees[0], {m.test for m in chosen})
        for tree in trees[1:]:
            subprocess.run(["cp", "-a", str(trees[0]), str(tree)], check=True)
        waiting = queue.SimpleQueue()
        for mutant in sorted(chosen, key=lambda m: m.test != "sim"):  # the long ones first
            waiting.put(mutant)

        def work(tree):
            nonlocal failed
            while True:
                try:
                    mutant = waiting.get_nowait()
                except queue.Empty:
                    return
                answer = judge(tree, mutant, "--tap" not in sys.argv)
                with say:
                    failed = failed or answer.startswith("not")
                    print(answer, flush=True)

        workers = [threading.Thread(target=work, args=(tree,)) for tree in trees]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    if not names:
        print(f"not ok each row has a planted fault (none: {' '.join(rows)})" if rows else "ok each row has a planted fault")
    return failed


if __name__ == "__main__":
    sys.exit(main())
