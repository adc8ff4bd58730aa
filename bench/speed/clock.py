"""Runs one program and prints as JSON what it took: wall time, CPU time, peak memory, exit code, its last words.

    python -I -S clock.py PROGRAM [ARGUMENT...]

A process of its own: what Linux calls a child's peak memory is at least that of who started it, and this one is small
(about 11 MB: below that, nothing can be told).
"""

import json
import os
import sys
import tempfile
import time


def main(command: list[str]) -> dict[str, float | str]:
    """Run `command`; the line that measure.py reads."""
    # Not into /dev/null: grep tells that nobody reads what it prints, and ends with the first match.
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as errors:
        actions = [(os.POSIX_SPAWN_DUP2, printed.fileno(), 1), (os.POSIX_SPAWN_DUP2, errors.fileno(), 2)]
        start = time.perf_counter()
        try:
            child = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
        except OSError as error:
            return {"exit": 127, "said": str(error), "wall": 0.0, "cpu": 0.0, "peak": 0.0}
        _, status, usage = os.wait4(child, 0)
        wall = time.perf_counter() - start
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace").strip().splitlines()
    return {
        "exit": os.waitstatus_to_exitcode(status),
        "said": said[-1] if said else "",
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss / 1024,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
