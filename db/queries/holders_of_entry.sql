-- Which mms held a swap entry, and when
-- :run: number of the run
-- :entry: the swap entry, as 0x and lower-case hex
-- run: number of the run
-- mm: address of the mm
-- generation: which life at that address
-- from_line: line from which it held the entry
-- from_why: unmap or fork
-- to_line: line at which it held it no longer; null: until the log's end
-- to_why: how it ended
-- evidence: observed or inferred
SELECT run, mm, generation, from_line, from_why, to_line, to_why, evidence
FROM v_holding
WHERE run = :run AND entry = :entry
ORDER BY from_line, mm
