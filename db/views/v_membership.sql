-- Memberships: one span of an mm on mmlist, from joining to leaving.
-- run: number of the run
-- mm: address of the mm
-- generation: which life at that address, from 1
-- joined_line: line that caused the joining; null: on the list before the log began
-- joined_seen_line: line at which the list itself showed it
-- joined_ts: time of joining, in the run's ts_unit
-- joined_by: pageout, fork, exec or unknown
-- after_mm: member, or init_mm, after which it was linked
-- after_generation: which life of that mm
-- left_line: line at which it left; null: still on the list when the log ended
-- left_ts: time of leaving
-- left_by: mmput, drain, freed or unknown; null: still on the list
-- evidence: observed (the log shows it) or inferred (the kernel does it, the log has no event for it)
-- joined_seq: place of the joining in replay order; 0: before the log
-- left_seq: place of the leaving in replay order
-- rank: members alive at one moment, sorted by rank, stand in list order
SELECT
    run,
    mm,
    generation,
    joined_line,
    joined_seen_line,
    joined_ts,
    joined_by,
    after_mm,
    after_generation,
    left_line,
    left_ts,
    left_by,
    evidence,
    joined_seq,
    left_seq,
    rank
FROM membership
