-- The twenty memberships that lasted longest
-- run: number of the run
-- mm: address of the mm
-- generation: which life at that address
-- duration: time on the list, in the run's ts_unit; null: the log has no times, or it never left
-- lines: lines of the log on the list
-- joined_line: line that caused the joining; null: before the log
-- left_line: line at which it left; null: still on the list
-- joined_by: pageout, fork, exec or unknown
-- left_by: mmput, drain, freed or unknown
SELECT
    m.run,
    m.mm,
    m.generation,
    m.left_ts - m.joined_ts AS duration,
    coalesce(m.left_line, r.lines) - coalesce(m.joined_line, 0) AS lines,
    m.joined_line,
    m.left_line,
    m.joined_by,
    m.left_by
FROM v_run AS r
JOIN v_membership AS m USING (run)
ORDER BY coalesce(m.left_line, r.lines) - coalesce(m.joined_line, 0) DESC, m.run, m.joined_seq
LIMIT 20
