"""The model: what one step changes, told in the history language of conftest.py."""

from __future__ import annotations

import pytest
from history_language import EXPLICIT, IMPLICIT
from msgspec.structs import replace

from mmlist.replay import events as e
from mmlist.replay.facts import Membership
from mmlist.replay.model import PROFILES, type_shift
from mmlist.replay.model.mm import APART, MEMBER, OFF, REMOVED, UNKNOWN
from mmlist.replay.model.mmlist import Mmlist, Node, rank_between


def test_pageout_joins_at_the_head(story):
    assert story("swapon 0; exec a; exec b; swapout a 1; swapout b 2").members() == "ba"


def test_fork_joins_right_after_the_parent(story):
    told = story("swapon 0; exec a; exec b; swapout a 1; swapout b 2; init c; copy c 2 b; init d; copy d 2 b")
    assert told.members() == "bdca"


def test_removal_keeps_the_order_of_the_rest(story):
    told = story("swapon 0; exec a; exec b; exec c; swapout a 1; swapout b 2; swapout c 3; end b")
    assert told.members() == "ca"
    assert told.codes() == []


def test_last_mmput_poisons_and_drain_does_not(story):
    told = story("swapon 0; exec a; exec b; swapout a 1; swapout b 2; put a; exit a; exited a; del a; del b drain")
    assert told.state.mms[0x1000].listed == REMOVED
    assert told.state.mms[0x2000].listed == OFF


def test_a_child_of_an_unlisted_parent_is_on_a_ring_apart(story):
    told = story("swapon 0; exec a; init b; dup 1; add b a")
    parent, child = told.state.mms[0x1000], told.state.mms[0x2000]
    assert (parent.listed, child.listed) == (APART, APART)
    assert parent.node.next is child.node and child.node.next is parent.node
    assert told.members() == ""
    told.tell("put b; exit b; exited b; del b")
    assert parent.listed == OFF


def test_an_mm_born_before_the_log_is_unknown(story):
    told = story("swapon 0; get a")
    mm = told.state.mms[0x1000]
    assert mm.listed == UNKNOWN and mm.users is None and mm.born is None


def test_an_address_used_again_is_another_generation(story):
    told = story("exec a; end a; exec a")
    assert told.state.mms[0x1000].generation == 2
    lives = [fact for fact in told.state.facts if type(fact).__name__ == "Life"]
    assert [(life.generation, life.freed_line is not None) for life in lives] == [(1, True)]


@pytest.mark.parametrize("profile", ["2.6.10", "modern"])
def test_without_list_events_the_model_removes_after_exit_mmap(story, profile):
    told = story("exec a", profile, IMPLICIT)
    told.step(e.JoinDue(told.at(), 0x1000, "pageout", 0, told.at(), over=True))
    assert told.members() == "a"
    told.tell("put a; exit a")
    assert told.members() == "a"
    told.tell("exited a")
    assert told.members() == ""


def test_without_list_events_2_6_9_joins_at_fork_and_removes_at_zero(story):
    told = story("exec a; init b; fork a b; init c; fork a c", "2.6.9", IMPLICIT)
    assert told.members() == "acb"
    told.tell("put c")
    assert told.members() == "ab"


def test_fetched_links_are_held_against_the_model(story):
    told = story("swapon 0; exec a; exec b; swapout a 1; swapout b 2")
    node = {name: 0x1000 * n + 0x98 for n, name in enumerate("ab", 1)} | {"head": 0xFFFF + 0x98}
    told.step(e.FetchedHead(told.at(), node["b"], node["a"], "swapoff"))
    told.step(e.Fetched(told.at(), 0x1000, None, None, node["head"], node["b"], "mmput"))
    assert (told.state.compared, told.state.differing) == (4, 0)
    told.step(e.Fetched(told.at(), 0x2000, None, None, node["head"], node["head"], "mmput"))
    told.state.finish(told.at())
    assert told.state.differing == 1


def test_an_unnamed_release_makes_the_holdings_of_its_mm_unknown(story):
    told = story("swapon 0; exec a; swapout a 1")
    mm = told.state.mms[0x1000]
    assert told.state.certain_holding(mm) is not None
    told.step(e.SwapRelease(told.at(), 0x1000))
    assert told.state.certain_holding(mm) is None
    told.tell("swapout a 2")
    found = told.state.certain_holding(mm)
    assert found is not None and found[0] == 2


def test_a_loss_makes_holdings_unknown_and_a_later_line_heals(story):
    told = story("swapon 0; exec a; dup 1; assign a 1")
    assert told.codes() == ["M1"]
    told.step(e.Lost(told.at(), 0, None, None, 3, "lost"))
    assert told.state.certain_holding(told.state.mms[0x1000]) is None
    told.tell("dup 2; assign a 2")
    assert told.state.certain_holding(told.state.mms[0x1000]) is not None


def test_empty_containers_leave_the_model(story):
    told = story("swapon 0; exec a; swapout a 1; swapout a 2; clear a 1; clear a 2; end a; swapoff 0; drain -1; off 0")
    assert not told.state.mms and not told.state.holders and not told.state.entries and not told.state.members


@pytest.mark.parametrize("where", ["head", "tail", "after_first", "chain"])
def test_ranks_order_as_the_list_does(where):
    found = Mmlist()
    found.head.next = found.head.prev = found.head
    nodes: list[Node] = []
    for index in range(500):
        node = Node(None)
        node.mm = object()  # type: ignore[assignment]
        after = found.head
        if nodes and where == "tail":
            after = found.head.prev
        elif nodes and where == "after_first":
            after = nodes[0]
        elif nodes and where == "chain":
            after = nodes[index * 7 % len(nodes)]
        found.add(node, after, index)
        nodes.append(node)
    assert [id(mm) for mm in found.walk()] == [id(n.mm) for n in sorted(nodes, key=lambda n: n.rank)]


@pytest.mark.parametrize("behind", [False, True])
def test_ranks_stay_short_however_members_come(behind):
    # Each child forks a child: a key that took its parent's as a prefix would grow with the age of the log.
    for where in ("head", "first", "latest", "tail"):
        found = Mmlist()
        found.head.next = found.head.prev = found.head
        first = latest = Node(None)
        found.add(first, found.head, 0)
        if behind:
            found.add(Node(None), first, 0)
        ranks = {first.rank}
        for index in range(5000):
            after = {"head": found.head, "first": first, "latest": latest, "tail": found.head.prev}[where]
            latest = Node(None)
            found.add(latest, after, index)
            ranks.add(latest.rank)
        assert len(ranks) == 5001
        assert max(map(len, ranks)) <= 12


def test_rank_between_refuses_what_is_not_between():
    with pytest.raises(ValueError, match="below"):
        rank_between(b"\2", b"\1")


def test_in_2_6_10_a_get_of_the_dead_that_is_not_taken_back_at_once_raises_mm_users(story):
    told = story("exec a; put a; get a; exec b", "2.6.10")
    assert told.codes() == ["C2"] and told.state.mms[0x1000].users == 1


def test_what_is_fetched_of_an_mm_of_unknown_place_teaches_its_neighbours(story):
    told = story("swapon 0; get a; get b")
    first, second = told.state.mms[0x1000], told.state.mms[0x2000]
    told.step(e.Fetched(told.at(), 0x1000, None, None, 0x2098, 0xFFFF + 0x98, "probe"))
    assert first.node.next is second.node and first.node.prev is told.state.list.head
    assert first.listed == MEMBER


def test_in_2_6_9_an_exec_joins_right_after_init_mm(story):
    told = story("exec a; add a; exec b; add b a", "2.6.9")
    assert "M7" in told.codes()
    assert "M7" not in story("exec a; add a; exec b; add b", "2.6.9").codes()


def test_without_list_events_a_fork_of_2_6_9_joins_behind_its_parent(story):
    told = story("exec a; exec b; fork a c", "2.6.9", IMPLICIT)
    assert told.members() == "bac"
    span = told.state.mms[0x3000].membership
    assert span is not None and (span.joined_line, span.joined_by, span.after_mm) == (told.line, "fork", 0x1000)


def test_an_mm_that_ends_with_entries_shows_that_releases_go_unseen(story):
    carries = replace(EXPLICIT, clears_explicit=False)
    held = story("swapon 0; exec a; swapout a 1; put a; exit a; exited a; del a; free a", carries=carries)
    assert held.state.unseen_release is not None
    assert story("swapon 0; exec a; swapout a 1; clear a 1; end a", carries=carries).state.unseen_release is None
    assert story("swapon 0; exec a; swapout a 1; put a; exit a; exited a; del a; free a").state.unseen_release is None


def test_a_count_that_a_free_shows_to_be_saturated_is(story):
    told = story("swapon 0; exec a; swapout a 1", "2.6.10")
    told.step(e.SwapUsage(told.at(), 0x7FFF, 1, None))
    assert told.state.entries[1].count == 0x7FFF and "S3" in told.codes()


def test_one_of_several_holders_that_let_go_makes_none_certain(story):
    told = story("swapon 0; exec a; swapout a 1; init b; copy b 1 a")
    told.step(e.SwapClear(told.at(), None, 1, "zap"))
    assert not any(told.state.certain(mm, mm.holdings[1]) for mm in told.state.mms.values())


def test_in_2_6_9_dup_mmap_joins_when_it_begins(story):
    told = story("exec a; exec b", "2.6.9", IMPLICIT)
    told.step(e.DupMmap(told.at(), 0x1000, 0x3000))
    span = told.state.mms[0x3000].membership
    assert told.members() == "bac" and span is not None
    assert (span.joined_line, span.joined_by, span.after_mm) == (told.line, "fork", 0x1000)


def test_a_member_that_is_added_behind_one_off_the_list_is_a_member_no_more(story):
    told = story("swapon 0; exec a; swapout a 1; exec b; add a b")
    spans = [fact for fact in told.state.facts if isinstance(fact, Membership)]
    assert [(span.mm, span.left_line, span.left_by) for span in spans] == [(0x1000, told.line, "unknown")]
    assert told.members() == "" and told.state.mms[0x1000].membership is None


def test_a_join_that_the_list_showed_before_its_line_is_observed(story):
    told = story("swapon 0; exec a; dup 1")
    head = 0xFFFF + 0x98
    told.step(e.JoinDue(told.at(), 0x1000, "pageout", 0, told.at(), over=False))
    told.step(e.Fetched(told.at(2, 1), 0x1000, None, None, head, head, "probe"))
    mm = told.state.mms[0x1000]
    seen = told.line
    assert mm.early == "join"
    told.tell("add a")
    assert mm.confirmed and mm.early == "" and mm.membership is not None
    assert (mm.membership.evidence, mm.membership.joined_seen_line) == ("observed", seen)
    told.tell("assign a 1")
    assert told.codes() == []


def test_the_type_of_an_entry_lies_where_its_kernel_puts_it() -> None:
    old, modern = PROFILES["2.6.9"], PROFILES["modern"]
    assert [type_shift(old, (1 << 32) - 1), type_shift(old, 1 << 32), type_shift(old, (1 << 33) - 1)] == [27, 59, 59]
    assert type_shift(modern, 1 << 20) == 58


@pytest.mark.parametrize(
    ("held", "freed", "doubtful"),
    [
        ({4, 5, 6, 7, 8}, 4, {5, 6, 7}),  # a folio of 1, 2 or 4 pages: of 8 it cannot begin here
        ({4, 5, 6}, 4, {5}),
        ({4, 6, 7}, 4, set()),  # nobody holds the second page: there was none
        ({3, 4, 5}, 3, set()),
        ({0, 1, 2, 3, 4, 5, 6, 7, 8}, 0, {1, 2, 3, 4, 5, 6, 7}),
    ],
)
def test_a_fault_that_may_have_brought_in_a_large_folio_leaves_its_entries_in_doubt(story, held, freed, doubtful):
    told = story("swapon 0; exec a; exec b")
    for entry in sorted(held):
        told.tell(f"swapout a {entry}")
    told.tell("swapout b 9")
    told.step(e.SwapFreeBehind(told.at(), freed, 0x1000))
    assert {entry for entry, hold in told.state.mms[0x1000].holdings.items() if hold.doubts} == doubtful
    other = story("swapon 0; exec a; exec b; swapout a 4; swapout b 5")
    for mm, doubts in ((0x1000, 0), (None, 1)):
        other.step(e.SwapFreeBehind(other.at(), 4, mm))
        assert other.state.mms[0x2000].holdings[5].doubts == doubts
