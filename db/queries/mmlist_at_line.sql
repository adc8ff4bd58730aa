-- The members of mmlist, in list order, after the step of one line
-- :run: number of the run
-- :line: line of the log; 0 is before its first line
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
FROM (SELECT coalesce((SELECT seq FROM v_reordered WHERE run = :run AND line = :line), :line) AS now) AS moment
JOIN v_membership ON joined_seq <= now AND (left_seq IS NULL OR left_seq > now)
WHERE run = :run
ORDER BY rank
