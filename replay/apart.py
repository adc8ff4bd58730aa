"""A part of a replay in a process of its own, beside the one that goes on with what it yields.

Items go through a pipe in batches, made by wire.c. A process that comes to its end, or to grief, says so as its last
word: one that ends without it was killed, and what it had yielded is not all there was.
"""

from __future__ import annotations

import os
import pickle
import signal
import struct
import sys
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import IO, Any, TypeVar, cast

import msgspec

from mmlist.replay import bound, events, facts
from mmlist.replay.errors import MmlistError
from mmlist.replay.record import At, Loss, Unparsed

T = TypeVar("T")
R = TypeVar("R")

WORTH = 400_000
"""Bytes of a log's content from which on it is worth it."""
_BATCH = 1024
_PIPE = 1 << 20  # bytes; more than the default, so that neither has to wait for the other at each batch
_SET_SIZE = 1031  # F_SETPIPE_SZ (include/uapi/linux/fcntl.h)
_HEAD = struct.Struct("<cQ")
_ITEMS, _RETURNED, _RAISED = b"i", b"r", b"x"

_open: set[int] = set()
"""Ends of pipes of this process, which are none of a process that is made later."""


def possible() -> bool:
    """Whether this machine can: it forks, has another CPU, and wire.c was compiled."""
    if not hasattr(os, "fork") or os.environ.get("MMLIST_PURE") or _wire() is None:
        return False
    return len(os.sched_getaffinity(0)) > 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) > 1


def produced(
    make: Callable[[], Generator[T, None, R]], made: Callable[[], None] = lambda: None, *, batch: int = _BATCH
) -> Generator[T, None, R]:
    """What `make()` yields, and returns, in another process; `made` is called in this one when the other is there.

    Raises what it raises there; MmlistError if that process was killed.
    """
    source, sink = _pipe()

    def work() -> None:
        with os.fdopen(sink, "wb", buffering=0) as file:
            _say(file, lambda: _send(file, make(), batch))

    child = _forked(work, source)
    os.close(sink)
    _open.add(source)
    try:
        made()
        with os.fdopen(source, "rb", buffering=_PIPE) as file:
            returned: R = yield from _received(file, "reads the log")
        return returned
    finally:
        _open.discard(source)
        os.waitpid(child, 0)


def consumed(use: Callable[[Iterator[T]], R], items: Iterable[T], *, batch: int = _BATCH) -> R:
    """What `use` makes, in another process, of `items`, which are made in this one.

    Raises what it raises there, when there is more to be handed over or at the end; MmlistError if that process was killed.
    """
    source, sink = _pipe()
    answer, back = _pipe()

    def work() -> None:
        with os.fdopen(source, "rb", buffering=_PIPE) as file, os.fdopen(back, "wb", buffering=0) as said:
            _say(said, lambda: use(_received(file, "replays the log")))

    child = _forked(work, sink, answer)
    os.close(source)
    os.close(back)
    _open.update((sink, answer))
    try:
        with os.fdopen(answer, "rb") as said:
            with os.fdopen(sink, "wb", buffering=0) as file, suppress(BrokenPipeError):  # it has ended, and says why
                _send(file, items, batch)
                _frame(file, _RETURNED, pickle.dumps(None))
            result: R = _returned(_received(said, "writes the database"))
        return result
    finally:
        _open.difference_update((sink, answer))
        os.waitpid(child, 0)


# --- the pipe --------------------------------------------------------------------------------------------------------


def _pipe() -> tuple[int, int]:
    source, sink = os.pipe()
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):  # more than this user may have
            fcntl.fcntl(sink, _SET_SIZE, _PIPE)
    return source, sink


def _wire() -> Any:
    try:
        from mmlist.replay._wire import Wire
    except ImportError:
        return None
    kinds = [kind for module in (events, facts, bound) for kind in vars(module).values() if isinstance(kind, type)]
    structs = dict.fromkeys(kind for kind in (At, Loss, Unparsed, *kinds) if issubclass(kind, msgspec.Struct))
    return Wire(tuple(structs), (At,))


def _forked(work: Callable[[], None], *others: int) -> int:
    """The number of a new process that does `work`, without the `others`' ends of its pipes, and is no more."""
    child = os.fork()
    if child:
        return child
    try:
        # Who is interrupted closes the pipe, and this process ends by that.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for end in (*_open, *others):
            os.close(end)
        work()
    except BaseException:
        os._exit(1)  # there is nobody left to tell, or nothing to be told
    os._exit(0)


def _say(file: IO[bytes], work: Callable[[], Any]) -> None:
    """Do `work`, and say as the last word what it returned or raised."""
    try:
        said = _RETURNED, pickle.dumps(work())
    except BaseException as error:
        if not isinstance(error, MmlistError):
            error.add_note("".join(traceback.format_exception(error)))
        said = _RAISED, _pickled(error)
    _frame(file, *said)


def _pickled(error: BaseException) -> bytes:
    try:
        data = pickle.dumps(error)
        pickle.loads(data)
        return data
    except Exception:
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))


def _send(file: IO[bytes], items: Iterable[Any], batch: int) -> Any:
    """Write `items` to `file`; returns what they return. Where they raise, what came before goes first."""
    dumps = _wire().dumps
    returned: Any = None

    def all_of_them() -> Iterator[Any]:
        nonlocal returned
        returned = yield from cast(Generator[Any, None, Any], items)  # what is none returns None

    left = all_of_them()
    while True:
        waiting: list[Any] = []
        try:
            waiting.extend(islice(left, batch))  # which keeps what came before an error
        except Exception:
            _frame(file, _ITEMS, dumps(waiting))
            raise
        _frame(file, _ITEMS, dumps(waiting))
        if len(waiting) < batch:
            return returned


def _frame(file: IO[bytes], kind: bytes, data: bytes) -> None:
    rest = memoryview(_HEAD.pack(kind, len(data)) + data)
    while rest:
        rest = rest[file.write(rest) :]


def _received(file: IO[bytes], doing: str) -> Generator[Any, None, Any]:
    """The items of `file`; returns what was said to be returned, or raises it."""
    loads = _wire().loads
    while head := file.read(_HEAD.size):
        kind, size = _HEAD.unpack(head) if len(head) == _HEAD.size else (b"", 0)
        data = file.read(size)
        if not kind or len(data) != size:
            break
        if kind == _ITEMS:
            yield from loads(data)
        elif kind == _RETURNED:
            return pickle.loads(data)
        else:
            raise pickle.loads(data)
    raise MmlistError(f"the process that {doing} was killed")


def _returned(said: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(said)
        except StopIteration as stop:
            return stop.value
