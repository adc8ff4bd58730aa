"""The survey: which kernel, where init_mm lies, what the log can say; each with its source."""

from __future__ import annotations

import pytest

from mmlist.replay.errors import OptionError
from mmlist.replay.record import At, Record
from mmlist.replay.skim import capture_header, names_in_text
from mmlist.replay.survey import Survey, survey


def look(text: str, header: dict[str, object] | None = None, **given: object) -> Survey:
    records = []
    for number, line in enumerate(filter(None, (part.strip() for part in text.split("\n"))), 1):
        name, _, args = line.partition(" ")
        records.append(Record(At(number, number, number, 0, 1, b""), name, args.encode()))
    return survey(records, header, **given)  # type: ignore[arg-type]


NEW = "mm_init_ret (c <- m) mm=0xffff888001000000 users=1 count=1 next=0xffff888001000098 prev=0xffff888001000098"


@pytest.mark.parametrize(
    ("text", "profile"),
    [
        ("mmput mm=0x1000 users=1", "modern"),
        ("mmput mm=0x1000 users=1 nr=4", "2.6.9"),
        ("task_flags pid=7 flags=0x02008040", "2.6.10"),
        ("task_flags pid=7 flags=0x00208040", "modern"),
        ("use_mm mm=0xc1000000", "2.6.10"),
        ("mmput mm=0xc1000000 next=0x00100100 prev=0x00200200", "2.6.10"),
        ("swap_duplicate entry=0x1 nr=4", "modern"),
    ],
)
def test_the_profile_is_told_by_what_the_log_shows(text, profile):
    found = look(text)
    assert found.profile.name == profile
    assert found.profile_reason


@pytest.mark.parametrize(
    ("release", "profile"),
    [("2.6.9-5.EL", "2.6.9"), ("2.6.11", "2.6.10"), ("6.1.0-56-amd64", "modern"), ("7.1", "modern")],
)
def test_the_capture_headers_release_goes_before(release, profile):
    assert look("mmput mm=0x1000 nr=1", {"release": release}).profile.name == profile


def test_what_is_given_by_hand_goes_before_all():
    found = look(NEW, {"release": "2.6.9"}, profile="modern", mmlist_offset=8, init_mm=0x10)
    assert (found.profile.name, found.mmlist_offset, found.init_mm) == ("modern", 8, 0x10)
    assert found.mmlist_offset_source == found.init_mm_source == "given by hand"


def test_an_unknown_profile_is_refused():
    with pytest.raises(OptionError, match=r"2\.6\.10"):
        look("", profile="2.6.11")


def test_the_offset_is_next_minus_mm_of_new_mms():
    assert look(NEW).mmlist_offset == 0x98
    assert look(NEW.replace("_ret", "")).mmlist_offset is None
    other = NEW.replace("0098", "00a8")
    assert look(f"{NEW}\n{other}").mmlist_offset is None


def test_init_mm_is_the_head_of_an_empty_list():
    found = look(f"{NEW}\nswapon (s) path=x head=0xffffffff82b5c9d8 tail=0xffffffff82b5c9d8")
    assert found.init_mm == 0xFFFFFFFF82B5C940
    assert "empty" in found.init_mm_source


def test_a_lone_members_node_is_not_taken_for_the_head():
    lone = NEW.replace("mm_init_ret", "mmput").replace("next=0xffff888001000098", "next=0xffffffff82b5c9d8")
    lone = lone.replace("prev=0xffff888001000098", "prev=0xffffffff82b5c9d8")
    found = look(f"{NEW}\n{lone}\nswapoff (s) path=x head=0xffff888001000098 tail=0xffff888001000098")
    assert found.init_mm == 0xFFFFFFFF82B5C940


def test_the_only_after_that_is_no_mm_is_init_mm():
    text = "mm_init mm=0x1000\nmmlist_add mm=0x1000 after=0xc0\nmm_init mm=0x2000\nmmlist_add mm=0x2000 after=0x1000"
    assert look(text).init_mm == 0xC0
    assert look("mmlist_add mm=0x1000 after=init_mm").init_mm is None


def test_what_the_log_carries():
    both = "try_to_unmap_one (t) mm=0x1\ncopy_page_range (c) dst=0x1 src=0x2\nswap_duplicate (s) entry=1"
    assert not look(f"{NEW}\n{both}").carries.joins_visible  # where they end does not show
    stock = look(f"{NEW}\n{both}\ntry_to_unmap_one_ret (t) ret=1\ncopy_page_range_ret (c) ret=0")
    assert stock.carries.joins_visible and not stock.carries.joins_explicit and not stock.carries.releases_visible
    hooks = look("mmlist_del (hook) mm=0x1000 why=1\nswap_clear (hook) mm=0x1000 entry=1 why=1")
    assert hooks.carries.joins_explicit and hooks.carries.clears_explicit and not hooks.carries.gets_explicit


def test_what_never_comes_in_a_long_log_was_not_recorded():
    dels = "\n".join(f"mmlist_del mm={mm:#x} why=1" for mm in range(0x1000, 0x1000 + 16 * 0x100, 0x100))
    short, long = look(dels[: dels.rindex("\n")]), look(dels)
    assert short.carries.leaves_explicit and short.carries.joins_explicit
    assert long.carries.leaves_explicit and not long.carries.joins_explicit
    assert look(dels, text_names=frozenset({"mmlist_add"})).carries.joins_explicit  # it stands further on
    adds = dels.replace("mmlist_del", "mmlist_add").replace("why=1", "after=init_mm")
    assert look(adds).carries.leaves_explicit  # a kernel that takes nobody off goes on for long


def test_clears_are_not_recorded_where_frees_come_without_them():
    assigns = "\n".join(f"swap_assign mm=0x1000 entry={entry} why=1" for entry in range(32))
    frees = "\n".join(f"swap_free entry={entry}" for entry in range(8))
    assert look(assigns).carries.clears_explicit  # nothing was let go of
    assert not look(f"{assigns}\n{frees}").carries.clears_explicit


def test_who_borrows_twice_has_given_back_unseen():
    once = "use_mm mm=0x1000\nmm_init mm=0x1000"
    assert look(once).carries.unborrows
    assert not look(f"{once}\n{once}").carries.unborrows
    assert look(f"{once}\nunuse_mm mm=0x1000\n{once}").carries.unborrows


def test_the_capture_header_is_json():
    assert capture_header(b'# mmlist-capture: {"release": "6.1"}') == {"release": "6.1"}
    assert capture_header(b"# mmlist-capture: {broken") is None
    assert capture_header(b"# tracer: nop") is None


def test_names_in_text_are_at_least_those_of_records():
    class Block:
        data = b"a-1 [000] ..... 1.0: mmput: (x) mm=1\nb 2 [001] 1.0:   mmlist:exit_mmap: (x)\nno event here\n"

    assert names_in_text([Block()]) == {"mmput", "exit_mmap"}  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("text", "release", "place"),
    [
        ("swap_duplicate (swap_duplicate+0x0/0x40) entry=0x1", None, "parent"),
        ("folio_dup_swap (folio_dup_swap+0x0/0x40) entry=0x1", None, "unknown"),
        ("folio_dup_swap (folio_dup_swap+0x0/0x40) entry=0x1", "7.1.5", "parent"),
        ("swap_duplicate (swap_duplicate+0x0/0x40) entry=0x1", "7.2.0-rc1", "unknown"),
        ("swap_duplicate entry=0x1", None, "unknown"),
        ("mm_init mm=0xc1000000\nmmlist_add mm=0xc2000000 after=0xc1000000", None, "parent"),
        ("mm_init mm=0xc1000000\nmmlist_add mm=0xc2000000 after=init_mm", None, "unknown"),
        ("mmput mm=0xc1000000 users=1 nr=4", None, "parent"),
    ],
)
def test_where_a_fork_joins_is_told_by_what_makes_the_kernel_no_later_than_7_1(text, release, place):
    header = None if release is None else {"release": release}
    assert look(text, header).profile.fork_after == place


def test_a_new_mm_that_was_not_initialised_is_no_vote_for_the_offset():
    text = NEW + "\nmm_init_ret (c <- m) mm=0xffff888001000400 next=0xffff888001000898 prev=0xffff888001000898"
    assert look(text).mmlist_offset == 0x98
