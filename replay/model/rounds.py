"""Whether a round of a walk before 5.1 goes on for as long as its entry is in use (mm/swapfile.c: try_to_unuse, 2.6).

There swapoff takes one entry after the other, and for each goes round the list, from start_mm back to it, until no pte holds the
entry. Which one it is no event says. But only a swap_free lowers a count: of a round that ends though no entry of the area
was let go since it began, and whose swapoff goes on, each member was met. It ends with two puts, of whom it met last and of
start_mm; of init_mm no event tells, where a round begins, or that it passes.
"""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.model.changes import EndedEarly
from mmlist.replay.model.mm import Mm
from mmlist.replay.model.passes import Passes
from mmlist.replay.model.swap import Round, SwapoffCall
from mmlist.replay.record import At


class Rounds(Passes):
    """The steps of a walk, entry by entry. The mms that it meets and puts are events, and so are joins and removals.

    `puts_behind`: the log has shown that it meets the next mm before it puts the one before, as try_to_unuse does. Until then a
    round that seems to end may be how the log is written: `ended_early` waits.
    """

    puts_behind: bool
    ended_early: EndedEarly | None

    def progressed(self, event: e.Event) -> None:
        """Who walks has come as far as this line; who let go of an entry before, further than that."""
        if not self._one_by_one:
            super().progressed(event)
            return
        at = event.at
        for call in self.swapoffs.values():
            freed = call.idle_since
            if freed is not None and call.idle_over is None and at.seq != freed.seq and self.key(at) == self.key(freed):
                call.idle_over = at
        super().progressed(event)
        walker = self.swapoffs.get(self.key(at))
        if walker is not None and (walker.line is None or walker.line.seq != at.seq):
            walker.line_before, walker.line = walker.line, at

    def on_mmlist_visit(self, event: e.MmlistVisit) -> None:
        """It meets an mm, in this round or the next."""
        super().on_mmlist_visit(event)
        call = self.swapoff_of(event.at)
        if call is None or not self._one_by_one or event.mm == self.init_mm:
            return
        mm = self.mm_at(event.mm, event.at)
        if call.round is None or call.round.ended is not None:
            self._goes_on(call, event.at, mm)
            call.round = Round(event.at, call.line_before or call.at)
        round_ = call.round
        if round_.holds is not None and round_.put is None and not self.puts_behind:
            self.puts_behind = True
            if self.ended_early is not None:
                self.emit(self.ended_early)
        round_.met.append(mm)
        round_.put = None  # it has only passed init_mm
        round_.holds = mm if event.got else round_.holds

    def on_mmput(self, event: e.Mmput) -> None:
        """Whom it met last it puts when it has met another, at init_mm, or at the round's end; there start_mm behind that."""
        call = self.swapoff_of(event.at) if self.swapoffs else None
        round_ = call.round if call is not None else None
        if call is not None and round_ is not None and round_.ended is None:
            mm = self.mm_at(event.mm, event.at)
            if round_.put is not None and mm is round_.start:
                self._round_ends(call, round_, event.at)
            elif mm is round_.holds and round_.put is None:
                round_.put = event.at
                if round_.start is None:
                    self._round_ends(call, round_, event.at)
            elif mm not in round_.met:
                round_.start = mm
                round_.met.append(mm)
        super().on_mmput(event)

    def on_swapoff_ret(self, event: e.SwapoffRet) -> None:
        """The area is empty, so the walk had gone on."""
        call = self.swapoff_of(event.at)
        if call is not None and event.ret == 0:
            self._goes_on(call, event.at, None)
        super().on_swapoff_ret(event)

    @property
    def _one_by_one(self) -> bool:
        if self.profile.name == "modern":
            return False
        return self.carries.joins_explicit and self.carries.leaves_explicit and self.carries.counts_explicit

    def _round_ends(self, call: SwapoffCall, round_: Round, at: At) -> None:
        round_.ended = at
        if self._none_let_go(call, round_):
            there = (mm for mm in self.members.values() if self._there(mm, round_.began))
            round_.missed = {mm: None for mm in there if mm not in round_.met}

    def _none_let_go(self, call: SwapoffCall, round_: Round) -> bool:
        """Whether no entry of the area was let go since the round began, nor by a step of a line before."""
        freed, since = call.idle_since, round_.since
        if freed is None or freed.seq > since.seq or self.tied(freed, since) or since.seq <= self.loss_seq:
            return False
        return self.key(freed) == call.key or (call.idle_over is not None and call.idle_over.seq <= since.seq)

    def _goes_on(self, call: SwapoffCall, at: At, mm: Mm | None) -> None:
        """It was no signal, and no want of memory, that ended the round: it meets `mm`, or the area is empty."""
        round_ = call.round
        if round_ is None or round_.ended is None or not round_.missed or call.passed_over:
            return
        if round_.since.seq <= self.loss_seq or self.broken is not None:
            return
        call.passed_over = True
        missed = list(round_.missed)
        first = next((one for one in missed if self._has_entry(one, call.type)), missed[0])
        change = EndedEarly(at, call, first, round_.began, round_.ended, len(missed))
        # Who is met again, and nothing was let go, is met in another round; start_mm may be one that it had not to meet.
        again = mm in round_.met and len(missed) > 1 and self._none_let_go(call, round_)
        if self.puts_behind or again:
            self.emit(change)
        else:
            self.ended_early = self.ended_early or change
