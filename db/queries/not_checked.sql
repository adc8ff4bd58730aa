-- Invariants that were not checked, and why
-- run: number of the run
-- code: code of the invariant
-- slug: the fault
-- status: not checked or ignored
-- reason: why
SELECT run, code, slug, status, reason
FROM v_invariant
WHERE status <> 'checked'
ORDER BY run, code
