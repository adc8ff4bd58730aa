"""A node's two links as a probe fetched them, against those that the model has.

They fit where they are the same, where the model knew none, where they stood so until a moment ago, or where a join or a
removal that is under way explains them. What was observed is taken over.
"""

from __future__ import annotations

from mmlist.replay.model.looks import Looks
from mmlist.replay.model.mm import APART, MEMBER, OFF, UNKNOWN
from mmlist.replay.model.mmlist import Node
from mmlist.replay.record import At

_TRIES = 64
"""Changes under way that may explain one link."""


class Links(Looks):
    """Neighbours: taught, or held against the list."""

    def differ(self, at: At, what: str) -> None:
        """The log shows `what` and the model had another."""
        self.differing += 1
        if len(self.differences) < 1000:
            self.differences.append((at, what))

    def _teach(self, node: Node, following: Node | None, before: Node | None, at: At) -> None:
        """Take over what was observed of a node's neighbours; a neighbour is on the list, too."""
        node.seq = at.seq
        if following is not None:
            node.set_next(following, at.ts)
            following.set_prev(node, at.ts)
            self._neighbour(following, at)
        if before is not None:
            node.set_prev(before, at.ts)
            before.set_next(node, at.ts)
            self._neighbour(before, at)

    def _neighbour(self, node: Node, at: At) -> None:
        mm = node.mm
        if mm is not None and mm.listed == UNKNOWN:
            self.learn_member(mm, at, before_log=mm.born is None and self.loss_seq == 0)

    def _fits(self, node: Node, following: Node, before: Node | None, at: At, name: str, final: bool) -> bool:
        one = self._next_fits(node, following, at)
        other = before is None or self._prev_fits(node, before, at)
        if one and other:
            self.compared += 1 if before is None else 2
            node.seq = at.seq
            return True
        if node.seq <= self.loss_seq and self.loss_seq:
            self._teach(node, following, before, at)
            return True
        if not final:
            return False
        if node.mm is not None:
            self.look_misplaced(node.mm, following, before, at, name)
        self.compared += 2
        if not one:
            self.differ(at, f"{name}: another next than the model's")
        if not other:
            self.differ(at, f"{name}: another prev than the model's")
        self._teach(node, following, before, at)
        return True

    def _next_fits(self, node: Node, seen: Node, at: At) -> bool:
        for _ in range(_TRIES):
            expected = node.next
            if expected is seen:
                return True
            if expected is None:
                node.set_next(seen, at.ts)
                if seen.prev is None:
                    seen.set_prev(node, at.ts)
                self._neighbour(seen, at)
                return True
            if self._stale(node.stale_next, seen, at):
                return True
            if expected.next is seen and (self._swap(expected, seen, at) or self._swap(node, expected, at)):
                continue
            if not self._under_way(expected, seen, at):
                return False
        return False

    def _prev_fits(self, node: Node, seen: Node, at: At) -> bool:
        for _ in range(_TRIES):
            expected = node.prev
            if expected is seen:
                return True
            if expected is None:
                node.set_prev(seen, at.ts)
                if seen.next is None:
                    seen.set_next(node, at.ts)
                self._neighbour(seen, at)
                return True
            if self._stale(node.stale_prev, seen, at):
                return True
            if expected.prev is seen and (self._swap(seen, expected, at) or self._swap(expected, node, at)):
                continue
            if not self._under_way(expected, seen, at):
                return False
        return False

    def _stale(self, history: list[tuple[Node | None, int | None]], seen: Node, at: At) -> bool:
        """Whether `seen` stood there until a moment that the clock does not set before `at`."""
        return any(
            value is seen and (until is None or at.ts is None or at.ts <= until + self.grain)
            for value, until in history
        )

    def _swap(self, first: Node, second: Node, at: At) -> bool:
        """Let two that joined after one place, inferred, while both were due, change places; whether they may.

        Who joined last stands first. A join is known to lie between its duplicate and the end of its bracket, no closer.
        """
        one, other = first.mm, second.mm
        if one is None or other is None or one.joined is None or other.joined is None or first.prev is None:
            return False
        span, below = one.membership, other.membership
        if span is None or below is None or "observed" in (span.evidence, below.evidence):
            return False
        if (span.after_mm, span.after_generation) != (below.after_mm, below.after_generation):
            return False
        last, cause = max(one.joined.seq, other.joined.seq), one.join_cause
        if first.seq > last or second.seq > last or cause is None:
            return False
        if cause.seq > other.joined.seq and not self.tied(cause, other.joined):
            return False
        before = first.prev
        self.list.remove(second, at.ts)
        self.list.add(second, before, at.ts)
        below.rank = second.rank
        return True

    def _under_way(self, expected: Node, seen: Node, at: At) -> bool:
        """Carry out a join of `seen` or a removal of `expected` that may have come already; whether there was one.

        The join goes first: who is seen on the list has come to it, while a removal only may have come.
        """
        joining = seen.mm
        if joining is not None and joining.listed == OFF and joining.joining is not None:
            self.join_due(joining, next(iter(joining.joining.values())), at)
            if self.carries.joins_explicit:
                self.seen_early(joining, "join")
            return joining.listed in (MEMBER, APART)
        leaving = expected.mm
        if leaving is not None and leaving.listed == MEMBER:
            draining = any(call.drain is not None for call in self.swapoffs.values())
            if leaving.exit_began is not None or draining or self.drained_since(leaving):
                why = "mmput" if leaving.exit_began is not None else "drain"
                known = why == "mmput" or (draining and self.carries.swapoffs_complete)
                self.leave(leaving, why, at, observed=False, when_known=known)
                if self.carries.leaves_explicit:
                    self.seen_early(leaving, "leave")
                return True
        return False
