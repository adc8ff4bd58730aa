"""How fast a whole replay is, database included: lines a second, peak memory, and how that compares to mere reading.

    python bench/replay.py [LOG] [--times 3]

Without LOG it is the largest capture among the fixtures, replayed ten times over, lest start-up hides the rest. The
best of several runs counts; each runs in a process of its own. The baselines read the decompressed log; a ratio says
how many times longer the replay takes.
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

REPEAT = 10
ROOT = Path(__file__).parent.parent
COUNT = "import sys; print(sum(1 for _ in open(sys.argv[1], 'rb')))"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", nargs="?", type=Path, default=None)
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    log, repeat = (given.log, 1) if given.log else (largest(), REPEAT)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "plain")
        lines = unpack(log, plain, repeat)
        print(f"{log.name} x {repeat}: {lines:,} lines, {plain.stat().st_size / 1e6:.1f} MB, best of {given.times}")
        replay = [sys.executable, "-m", "mmlist", "replay", "-q", *[str(log.resolve())] * repeat]
        whole, peak = best([*replay, "-o", str(Path(folder, "run.db"))], folder, given.times)
        print(f"  replay, with the database  {whole:7.2f} s {lines / whole:10,.0f} lines/s {peak:6.0f} MB peak")
        seconds, peak = best([*replay, "--no-db"], folder, given.times)
        print(f"  replay, without            {seconds:7.2f} s {lines / seconds:10,.0f} lines/s {peak:6.0f} MB peak")
        seconds, peak = best([sys.executable, "-m", "mmlist", "--version"], folder, given.times)
        print(f"  start-up alone             {seconds:7.2f} s {'':18} {peak:6.0f} MB peak")
        for name, command in baselines(plain):
            seconds, _ = best(command, folder, given.times)
            print(f"  {name:26} {seconds:7.3f} s; the replay takes {whole / seconds:,.0f} times that")


def largest() -> Path:
    """The fixture with the most to read."""
    logs = [path for path in (ROOT / "fixtures").rglob("*.trace*") if path.name.endswith((".trace", ".trace.gz"))]
    if not logs:
        sys.exit("bench: no fixture; give a log (make bench FILE=trace.txt.gz)")
    return max(logs, key=lambda path: path.stat().st_size)


def unpack(log: Path, target: Path, repeat: int) -> int:
    """Write the decompressed log so many times; the number of its lines."""
    count = 0
    with target.open("wb") as out:
        for _ in range(repeat):
            with Log.open(str(log)) as opened:
                for _, _, line in opened.lines():
                    out.write(line.rstrip(b"\n") + b"\n")
                    count += 1
    return count


def baselines(plain: Path) -> list[tuple[str, list[str]]]:
    """Programs that only read: those that this machine has."""
    found = [("python, counting lines", [sys.executable, "-c", COUNT, str(plain)])]
    for name, arguments in (("grep", ["-c", "mm"]), ("mawk", ["/mm=/ {n++} END {print n}"])):
        program = shutil.which(name)
        if program:
            found.append((f"{name}, counting matches", [program, *arguments, str(plain)]))
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
        if process.returncode not in (0, 1, 3):
            sys.exit(f"bench: exit {process.returncode}: {' '.join(command)}")
    return min(seconds for seconds, _ in runs), max(peak for _, peak in runs)


def environment() -> dict[str, str]:
    """Ours, with this checkout importable from any folder."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}


if __name__ == "__main__":
    main()
