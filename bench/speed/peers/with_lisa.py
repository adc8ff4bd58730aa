"""A DataFrame of each event by LISA, which tells an event's fields from its lines.

python with_lisa.py LOG NAME,NAME...
"""

import logging
import sys
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

from lisa.trace import TxtTraceParser  # noqa: E402


def main(path: str, names: list[str]) -> None:
    """Count the rows of all frames."""
    parser = TxtTraceParser.from_txt_file(path, events=set(names))
    print(sum(len(parser.parse_event(name)) for name in names))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2].split(","))
