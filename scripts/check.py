"""The checks behind ./run check. Each is a function that returns a list of complaints, "file:line: what"."""
import pathlib
import re
import subprocess
import sys

# Which rooms each room may include. base is open to all; a room may always include itself.
ARROWS = {
    "base": set(),
    "wire": {"base"},
    "crypto": {"base"},
    "path": {"base"},
    "ike": {"base", "wire", "crypto"},
    "esp": {"base", "wire", "crypto"},
    "peer": {"base", "wire", "crypto", "ike", "path", "esp"},
    "transport": {"base", "wire", "path"},
    "dataplane": {"base", "wire", "esp", "peer", "path", "transport"},
    "host": {"base", "wire"},
    "config": {"base", "wire", "crypto"},
    "daemon": {"base", "wire", "crypto", "ike", "path", "esp", "peer", "transport", "dataplane", "host", "config"},
    "cli": {"base"},
}
PURE = ("wire", "ike", "path", "esp", "peer")
IMPURE_HEADERS = re.compile(r"^(event2/|openssl/|sys/socket\.h|sys/un\.h|netinet/|net/|netlink/|linux/|time\.h|sys/time\.h|pthread\.h|unistd\.h|fcntl\.h)")
FILE_LINES, FUNCTION_LINES = 600, 90
ROW = re.compile(r"^(?:S|C|L|K|T|O)\d+_")


def sources(*patterns):
    names = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
                           capture_output=True, text=True, check=True).stdout.split()
    return [pathlib.Path(n) for n in names if pathlib.Path(n).exists()]


def includes(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match[1] == '"', match[2]


def arrows():
    """an include that points against the arrows of doc/architecture.md"""
    for path in sources("src/*.c", "src/*.h", "src/*.l", "src/*.y"):
        room = path.parts[1]
        for number, ours, name in includes(path):
            target = name.split("/")[0]
            if ours and "/" in name and target in ARROWS and target != room and target not in ARROWS[room]:
                yield f"{path}:{number}: {room}/ must not include {target}/"


def faces():
    """an include of another room's private header: only ROOM/ROOM.h is its face (base/ is open)"""
    for path in sources("src/*.c", "src/*.h", "tests/*.c", "tests/*.h", "bench/*.c"):
        room = path.parts[1] if path.parts[0] == "src" else path.parts[2] if path.parts[:2] == ("tests", "unit") else None
        if path.parts[:2] == ("tests", "fuzz"):  # a target is of the room that it asks
            room = {"control": "daemon", "monitor": "daemon", "proxy": "transport", "stranger": "transport", "ticket": "ike"}.get(path.stem)
        room = {"engine": "daemon"}.get(room, room)
        for number, ours, name in includes(path):
            parts = name.split("/")
            if not ours or len(parts) < 2 or parts[0] not in ARROWS or parts[0] in (room, "base"):
                continue
            if parts[1:] != [parts[0] + ".h"]:
                yield f"{path}:{number}: {name} is private to {parts[0]}/; include {parts[0]}/{parts[0]}.h"


def purity():
    """a pure room that reaches outside"""
    for path in sources(*[f"src/{room}/*" for room in PURE]):
        if path.suffix not in (".c", ".h"):
            continue
        for number, _, name in includes(path):
            if IMPURE_HEADERS.match(name):
                yield f"{path}:{number}: <{name}> in a pure room"
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.match(r"static (?!const|inline|_Thread)[\w ]+\**\w+(\[[^\]]*\])? *(=|;)", line) and "(" not in line.split("=")[0]:
                yield f"{path}:{number}: a global variable in a pure room"
            if re.search(r"\b(rand|random|getrandom|time|clock_gettime|socket|open|read|write)\(", line) and not re.search(r"[\w.>]\w*_(rand|read|write|open|time)\(", line) and not line.strip().startswith(("*", "/*", "//")):
                yield f"{path}:{number}: a call that reaches outside: {line.strip()}"


def openssl_at_home():
    """OpenSSL outside crypto/ (and TLS in transport/)"""
    for path in sources("src/*.c", "src/*.h"):
        for number, _, name in includes(path):
            if name.startswith("openssl/") and path.parts[1] not in ("crypto", "transport"):
                yield f"{path}:{number}: <{name}> belongs in crypto/"


def file_lengths():
    """a file longer than one idea"""
    for path in sources("src/*.c", "src/*.h", "src/*.l", "src/*.y", "scripts/*"):
        lines = len(path.read_text().splitlines())
        if lines > FILE_LINES:
            yield f"{path}:1: {lines} lines; at most {FILE_LINES}"


def function_lengths():
    """a function that does not fit a screen"""
    for path in sources("src/*.c"):
        start = None
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.match(r"^[a-z].*\)\s*\{$|^    .*\) \{$", line) and start is None and not line.startswith("     "):
                start = number
            elif line == "}" and start:
                if number - start > FUNCTION_LINES:
                    yield f"{path}:{start}: a function of {number - start} lines; at most {FUNCTION_LINES}"
                start = None
            elif re.match(r"^[a-z][^={]*\([^={]*,$|^[a-z][^={]*\($", line) and start is None:
                start = number


def formatted():
    """a file that clang-format would change"""
    files = [str(p) for p in sources("src/*.c", "src/*.h", "tests/*.c", "tests/*.h", "bench/*.c", "bench/*.h")]
    if not files:
        return
    result = subprocess.run(["clang-format", "--dry-run", *files], capture_output=True, text=True)
    seen = set()
    for line in result.stderr.splitlines():
        match = re.match(r"(.+?):(\d+):\d+: warning: code should be clang-formatted", line)
        if match and match[1] not in seen:
            seen.add(match[1])
            yield f"{match[1]}:{match[2]}: not as clang-format writes it"


def shell_scripts():
    """what shellcheck says of the scripts"""
    files = [str(p) for p in sources("run", "scripts/*", "tests/net/*", "tests/interop/*", "bench/*", ".ci/run")
             if p.is_file() and p.suffix in ("", ".sh") and p.read_text(errors="replace").startswith(("#!/bin/bash", "#!/bin/sh", "# shellcheck shell"))]
    result = subprocess.run(["shellcheck", "--severity=warning", "--external-sources", "--exclude=SC1090,SC1091,SC2034,SC2154,SC2155,SC2164",
                             "--format=gcc", *files], capture_output=True, text=True)
    yield from result.stdout.splitlines()


def lint():
    """what clang-tidy says (faults, not tastes)"""
    build = pathlib.Path("build-test")
    if not (build / "compile_commands.json").exists():
        subprocess.run(["meson", "setup", str(build), "-Db_sanitize=address,undefined", "-Doptimization=1"],
                       check=True, capture_output=True)
    files = [str(p) for p in sources("src/*.c")]
    halves = [files[0::2], files[1::2]]
    running = [subprocess.Popen(["clang-tidy", "--quiet", "-p", str(build), *half], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True) for half in halves if half]
    for process in running:
        for line in process.communicate()[0].splitlines():
            if re.search(r": (warning|error): ", line):
                yield line.replace(str(pathlib.Path.cwd()) + "/", "")


def test_names():
    """unit tests whose names are no sentences, or claim a row that doc/conformance.md does not have"""
    rows = set(re.findall(r"^\| ([SCLKTO]\d+) \|", pathlib.Path("doc/conformance.rows.md").read_text(), re.M))
    for path in sources("tests/*.c"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r"static void (\w+)\(void \*\*\w*\)", line)
            if not match or match[1].startswith(("setup", "teardown")):
                continue
            row = re.match(r"([SCLKTO]\d+)_", match[1])
            if row and row[1] not in rows:
                yield f"{path}:{number}: {row[1]} is no row of doc/conformance.md"
            if match[1].count("_") < 2:
                yield f"{path}:{number}: '{match[1]}' is no sentence"


def nothing_left_open():
    """notes to self, paths of one machine"""
    for path in sources("*"):
        if path.name in ("check.py", "before-stop") or path.suffix in (".png", ".svg", ".pcap"):
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
                yield f"{path}:{number}: left open: {line.strip()[:80]}"
            if re.search(r"/work/(main|shared|\.)|\.\./shared", line):
                yield f"{path}:{number}: a path of one machine: {line.strip()[:80]}"


def conformance():
    """doc/conformance.md does not say what the tests' names say"""
    yield from subprocess.run([sys.executable, "scripts/conformance.py", "--check"], capture_output=True,
                              text=True).stdout.splitlines()


CHECKS = [formatted, arrows, faces, purity, openssl_at_home, file_lengths, function_lengths, shell_scripts, test_names, conformance,
          nothing_left_open, lint]


def main():
    wanted = [a for a in sys.argv[1:] if not a.startswith("-")]
    failed = 0
    for check in CHECKS:
        name = check.__name__
        if wanted and name not in wanted:
            continue
        if "--list" in sys.argv:
            print(name)
            continue
        complaints = list(check() or [])
        print(("not ok " if complaints else "ok ") + name, flush=True)
        if complaints:
            failed += 1
            print(f"  # {check.__doc__}:")
            for complaint in complaints[:40]:
                print(f"  # {complaint}")
            if len(complaints) > 40:
                print(f"  # and {len(complaints) - 40} more")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
