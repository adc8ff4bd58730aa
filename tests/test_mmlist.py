"""The list by itself: what each change makes of the pointers, and what they were, with the time of the change."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mmlist.replay.model.mmlist import Mmlist, Node


def ring(count: int) -> tuple[Mmlist, list[Node]]:
    """The head and `count` nodes behind it, each added at time 1 behind the one before."""
    found = Mmlist()
    found.head.init(0)
    nodes = [found.head, *(Node(None) for _ in range(count))]
    for before, node in pairwise(nodes):
        found.add(node, before, 1)
    return found, nodes


def linked(nodes: list[Node]) -> bool:
    """Whether these are a ring, in this order."""
    pairs = list(zip(nodes, [*nodes[1:], nodes[0]], strict=True))
    return all(one.next is other and other.prev is one for one, other in pairs)


def test_add_links_right_after_and_keeps_what_the_pointers_were():
    found, (head, first, second) = ring(2)
    new = Node(None)
    found.add(new, first, 7)
    assert linked([head, first, new, second]) and first.rank < new.rank < second.rank
    assert (new.stale_next[-1], new.stale_prev[-1]) == ((new, 7), (new, 7))
    assert (first.stale_next[-1], second.stale_prev[-1]) == ((second, 7), (first, 7))


def test_add_where_what_follows_is_unknown():
    found = Mmlist()
    new = Node(None)
    found.head.seq = 3
    found.add(new, found.head, 7)
    assert (found.head.next, found.head.prev, new.prev, new.next) == (new, None, found.head, None)
    assert new.seq == 3


def test_remove_closes_the_gap_and_leaves_the_node_as_it_is():
    found, (head, first, second, third) = ring(3)
    second.seq, first.seq, third.seq = 4, 9, 2
    found.remove(second, 7)
    assert linked([head, first, third]) and (second.prev, second.next) == (first, third)
    assert (first.stale_next[-1], third.stale_prev[-1]) == ((second, 7), (second, 7))
    assert (first.seq, third.seq) == (4, 2)


def test_remove_of_the_only_one_and_of_one_that_points_at_itself():
    found, (head, only) = ring(1)
    found.remove(only, 7)
    assert linked([head])
    alone = Node(None)
    found.remove(alone, 8)
    assert linked([alone]) and alone.stale_next == alone.stale_prev == []


@pytest.mark.parametrize("known", ["before", "behind"])
def test_remove_of_one_of_whom_only_one_side_is_known(known):
    found, (_, first, second, third) = ring(3)
    if known == "before":
        second.set_next(None, 2)
    else:
        second.set_prev(None, 2)
    found.remove(second, 7)
    assert (first.next, third.prev) == ((None, second) if known == "before" else (second, None))


def test_replace_puts_one_in_the_place_of_another():
    found, (head, first, second) = ring(2)
    new = Node(None)
    first.seq = 5
    found.replace(first, new, 7)
    assert linked([head, new, second]) and (new.rank, new.seq) == (first.rank, 5)
    assert (new.stale_next[-1], new.stale_prev[-1]) == ((new, 7), (new, 7))
    assert (head.stale_next[-1], second.stale_prev[-1]) == ((first, 7), (first, 7))


def test_replace_of_one_that_points_at_itself_leaves_one_that_does():
    found, alone, new = Mmlist(), Node(None), Node(None)
    found.replace(alone, new, 7)
    assert linked([new]) and linked([alone])


def test_who_follows_may_become_unknown():
    found, (head, first, second) = ring(2)
    found.unknown_after(first, 7)
    assert (first.next, second.prev) == (None, None) and first.prev is head and second.next is head
    assert (first.stale_next[-1], second.stale_prev[-1]) == ((second, 7), (first, 7))


def test_a_change_to_what_already_is_leaves_no_trace_and_few_traces_are_kept():
    one, other = Node(None), Node(None)
    for ts in range(50):
        one.set_next(other if ts % 2 else one, ts)
        one.set_prev(other if ts % 2 else one, ts)
    assert one.stale_next == one.stale_prev and one.stale_next[-1] == (one, 49)
    assert 1 < len(one.stale_next) < 50
    before = list(one.stale_next)
    one.set_next(other, 60)
    one.set_prev(other, 60)
    assert one.stale_next == before == one.stale_prev


def test_a_node_found_on_the_list_has_its_rank_beside_the_neighbours_that_are_known():
    found, (head, first, second) = ring(2)
    new = Node(None)
    new.prev, new.next = first, None
    found.place(new)
    assert first.rank < new.rank < second.rank
    new.prev, new.next = None, first
    found.place(new)
    assert b"" < new.rank < first.rank
    new.prev = new.next = None
    found.place(new)
    assert b"" < new.rank < first.rank
    later = Node(None)
    found.add(later, head, 9)
    assert later.rank < new.rank
