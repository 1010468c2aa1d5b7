"""doc/conformance.md from doc/conformance.rows.md and the names of tests: each row, where it is implemented, which tests
prove it, which faults are planted to see that they do (tests/mutants). Without an argument it writes the page; --check says what is wrong with it: out of date, or a row that claims to be
there and has no test. A row whose "where" begins with "not yet" is a gap that is told, and may have none."""
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| ([SCLKTO]\d+) \| (.*?) \| (.*) \|$")


def tests_of_rows():
    found = {}
    files = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "tests"], cwd=TOP,
                           capture_output=True, text=True, check=True).stdout.split()
    for name in sorted(files):
        path = TOP / name
        if not path.exists() or path.suffix not in (".c", ""):
            continue
        for match in re.finditer(r"^(?:static void |test_)((?:[SCLKTO]\d+_)+)(\w+)\(", path.read_text(errors="replace"), re.M):
            for row in match[1].strip("_").split("_"):
                found.setdefault(row, []).append((name, match[1] + match[2]))
    return found


def faults_of_rows():
    """tests/mutants/*.patch by the rows that their heads name: scripts/mutants shows that each is noticed."""
    found = {}
    for path in sorted((TOP / "tests/mutants").glob("*.patch")):
        rows = re.search(r"^rows: (.*)$", path.read_text().split("--- a/")[0], re.M)
        for row in re.findall(r"\b[SCLKTO]\d+\b", rows[1] if rows else ""):
            found.setdefault(row, []).append(path.stem)
    return found


def page():
    found, faults = tests_of_rows(), faults_of_rows()
    lines, gaps = [], []
    for line in (TOP / "doc/conformance.rows.md").read_text().splitlines():
        row = ROW.match(line)
        if line.startswith("| id |"):
            lines.append("| id | requirement | where | tests | planted faults |")
        elif re.match(r"^\|---\|---\|---\|$", line):
            lines.append("|---|---|---|---|---|")
        elif row:
            tests = found.get(row[1], [])
            if not tests and not row[3].startswith("not yet"):
                gaps.append(row[1])
            shown = [f"`{test}` ({pathlib.Path(name).parent.as_posix().removeprefix('tests/')}/{pathlib.Path(name).name})"
                     for name, test in tests[:3]]
            if len(tests) > 3:
                shown.append(f"and {len(tests) - 3} more")
            lines.append(f"| {row[1]} | {row[2]} | {row[3]} | {'<br>'.join(shown)} | "
                         f"{'<br>'.join(faults.get(row[1], []))} |")
        else:
            lines.append(line)
    return "\n".join(lines) + "\n", gaps


def main():
    text, gaps = page()
    target = TOP / "doc/conformance.md"
    if "--check" not in sys.argv:
        target.write_text(text)
        return 0
    for row in gaps:
        print(f"doc/conformance.rows.md:1: {row} is said to be there, and no test carries its name")
    if not target.exists() or target.read_text() != text:
        print("doc/conformance.md:1: out of date: run scripts/conformance.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
