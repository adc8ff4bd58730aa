-- Members that were still on mmlist when the log ended, in list order
-- run: number of the run
-- position: place on the list, from 1
-- mm: address of the mm
-- generation: which life at that address
-- joined_line: line that caused the joining; null: before the log
-- joined_by: pageout, fork, exec or unknown
-- evidence: observed or inferred
SELECT
    run,
    row_number() OVER (PARTITION BY run ORDER BY rank) AS position,
    mm,
    generation,
    joined_line,
    joined_by,
    evidence
FROM v_membership
WHERE left_seq IS NULL
ORDER BY run, rank
