"""What one writes in ten minutes: a regular expression, line by line.

python adhoc.py LOG
"""

import re
import sys

LINE = re.compile(r"^\s*(.+?)[-\s]+(\d+)\s+(?:\(.*?\)\s+)?\[(\d+)\]\s+(?:\S+\s+)?(\d+\.\d+):\s+(?:\w+:)?(\w+):\s+(.*)")
MM = re.compile(r"\bmm=(0x[0-9a-f]+)")


def main(path: str) -> None:
    """Count per event name and mm, with the first and the last time."""
    found: dict[tuple[str, str | None], list[float]] = {}
    with open(path, errors="replace") as log:  # noqa: PTH123
        for line in log:
            match = LINE.match(line)
            if match is None:
                continue
            stamp, name, rest = float(match[4]), match[5], match[6]
            mm = MM.search(rest)
            key = name, mm[1] if mm else None
            row = found.get(key)
            if row is None:
                found[key] = [1, stamp, stamp]
            else:
                row[0] += 1
                row[2] = stamp
    print(len(found), sum(row[0] for row in found.values()))


if __name__ == "__main__":
    main(sys.argv[1])
