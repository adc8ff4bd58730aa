-- Everything the run knows of one mm address, in order of lines
-- :run: number of the run
-- :mm: address of the mm, as 0x and lower-case hex
-- run: number of the run
-- line: line of the log; null: before the log
-- generation: which life at that address
-- what: born, joined, left, holds entry, gave up entry, visited by swapoff, final put, exit_mmap, freed, violation
-- detail: how, after whom, which entry, or which invariant
SELECT run, line, generation, what, detail
FROM (
    SELECT run, born_line AS line, generation, 'born' AS what, born_by || coalesce(' of ' || parent_mm, '') AS detail
    FROM v_mm WHERE run = :run AND mm = :mm AND born_line IS NOT NULL
    UNION ALL
    SELECT run, joined_line, generation, 'joined', joined_by || coalesce(' after ' || after_mm, '')
    FROM v_membership WHERE run = :run AND mm = :mm
    UNION ALL
    SELECT run, left_line, generation, 'left', left_by
    FROM v_membership WHERE run = :run AND mm = :mm AND left_seq IS NOT NULL
    UNION ALL
    SELECT run, from_line, generation, 'holds entry', entry || ' by ' || from_why
    FROM v_holding WHERE run = :run AND mm = :mm
    UNION ALL
    SELECT run, to_line, generation, 'gave up entry', entry || ' by ' || to_why
    FROM v_holding WHERE run = :run AND mm = :mm AND to_line IS NOT NULL
    UNION ALL
    SELECT run, line, generation, 'visited by swapoff', iif(got = 1, 'walked', 'skipped')
    FROM v_visit WHERE run = :run AND mm = :mm
    UNION ALL
    SELECT run, final_put_line, generation, 'final put', 'mm_users 0'
    FROM v_mm WHERE run = :run AND mm = :mm AND final_put_line IS NOT NULL
    UNION ALL
    SELECT run, exit_mmap_line, generation, 'exit_mmap', 'returned'
    FROM v_mm WHERE run = :run AND mm = :mm AND exit_mmap_line IS NOT NULL
    UNION ALL
    SELECT run, freed_line, generation, 'freed', 'mm_struct'
    FROM v_mm WHERE run = :run AND mm = :mm AND freed_line IS NOT NULL
    UNION ALL
    SELECT run, line, generation, 'violation', code || ' ' || slug
    FROM v_violation WHERE run = :run AND mm = :mm
)
ORDER BY generation, line
