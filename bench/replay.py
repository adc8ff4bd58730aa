"""How fast a whole replay is, database included: lines a second, peak memory, and how that compares to mere reading.

    python bench/replay.py [LOG] [--times 3]

Without LOG it is the largest capture among the fixtures. The best of several runs counts; each runs in a process of its
own. The baselines read the decompressed log: their ratio says how many times longer the replay takes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mmlist.replay.log import Log

ROOT = Path(__file__).parent.parent
COUNT = "import sys; print(sum(1 for _ in open(sys.argv[1], 'rb')))"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", nargs="?", type=Path, default=None)
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    log = given.log or largest()
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "plain")
        lines = unpack(log, plain)
        print(f"{log}: {lines} lines, {plain.stat().st_size / 1e6:.1f} MB, best of {given.times}")
        replay = [sys.executable, "-m", "mmlist", "replay", str(log.resolve()), "-q"]
        base = [sys.executable, "-m", "mmlist", "--version"]
        for name, command in (
            ("replay into a database", [*replay, "-o", str(Path(folder, "run.db"))]),
            ("replay without one", [*replay, "--no-db"]),
            ("start-up alone", base),
        ):
            seconds, peak = best(command, folder, given.times)
            print(f"  {name:24} {seconds:8.2f} s {lines / seconds:12,.0f} lines/s {peak:7.0f} MB peak")
            if "database" in name:
                whole = seconds
        for name, command in baselines(plain):
            seconds, _ = best(command, folder, given.times)
            print(f"  {name:24} {seconds:8.2f} s   the replay takes {whole / seconds:,.0f} times that")


def largest() -> Path:
    """The fixture with the most to read."""
    logs = [path for path in (ROOT / "fixtures").rglob("*.trace*") if path.name.endswith((".trace", ".trace.gz"))]
    if not logs:
        sys.exit("bench: no fixture; give a log (make bench FILE=trace.txt.gz)")
    return max(logs, key=lambda path: path.stat().st_size)


def unpack(log: Path, target: Path) -> int:
    """Write the decompressed log; the number of its lines."""
    count = 0
    with Log.open(str(log)) as opened, target.open("wb") as out:
        for count, _, line in opened.lines():  # noqa: B007
            out.write(line.rstrip(b"\n") + b"\n")
    return count


def baselines(plain: Path) -> list[tuple[str, list[str]]]:
    """Programs that only read: those that this machine has."""
    found = [("python, counting lines", [sys.executable, "-c", COUNT, str(plain)])]
    for name, arguments in (("grep", ["-c", "mm"]), ("mawk", ["/mm=/ {n++} END {print n}"])):
        program = shutil.which(name)
        if program:
            found.append((f"{name} {arguments[-1]!r}"[:24], [program, *arguments, str(plain)]))
    return found


def best(command: list[str], folder: str, times: int) -> tuple[float, float]:
    """The shortest of several runs, in seconds, and the largest peak, in MB."""
    runs = []
    for _ in range(times):
        start = time.perf_counter()
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, env=environment()) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        runs.append((time.perf_counter() - start, usage.ru_maxrss / 1024))
        if process.returncode == 2 or process.returncode < 0:
            sys.exit(f"bench: exit {process.returncode}: {' '.join(command)}")
    return min(seconds for seconds, _ in runs), max(peak for _, peak in runs)


def environment() -> dict[str, str]:
    """Ours, with this checkout importable from any folder."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}


if __name__ == "__main__":
    main()
