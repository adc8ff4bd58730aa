-- The members of mmlist, in list order, after all steps up to a time
-- :run: number of the run
-- :ts: the time, in the run's ts_unit (nanoseconds, or the clock's raw number)
-- position: place on the list, from 1
-- mm: address of the mm
-- generation: which life at that address
-- joined_line: line that caused the joining; null: before the log
-- joined_by: pageout, fork, exec or unknown
-- after_mm: member, or init_mm, after which it was linked
-- after_generation: which life of that mm
-- joined_ts: time of joining
-- evidence: observed or inferred
SELECT
    row_number() OVER (ORDER BY rank) AS position,
    mm,
    generation,
    joined_line,
    joined_by,
    after_mm,
    after_generation,
    joined_ts,
    evidence
FROM v_membership
WHERE run = :run AND (joined_seq = 0 OR joined_ts <= :ts) AND (left_seq IS NULL OR left_ts > :ts)
ORDER BY rank
