"""A DataFrame of each event by trappy, which reads `trace-cmd report` and pairs of key=value.

python with_trappy.py LOG NAME,NAME...
"""

import sys
import warnings

warnings.simplefilter("ignore")

import trappy  # noqa: E402


def main(path: str, names: list[str]) -> None:
    """Count the rows of all frames."""
    for name in names:  # the attribute of a trace is the class's name in snake_case
        trappy.register_dynamic_ftrace("".join(map(str.title, name.split("_"))), f" {name}:", scope="all")
    trace = trappy.FTrace(path, normalize_time=False)
    print(sum(len(getattr(trace, name).data_frame) for name in names))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2].split(","))
