-- All violations, roots before what follows from them
-- run: number of the run
-- id: number of the violation in its run
-- code: code of the invariant
-- slug: the fault
-- severity: E or W
-- certainty: proven, likely or undecided
-- line: line at which it was seen
-- count: how often
-- mm: mm it is about
-- follows_from: the violation that caused it
-- message: the violation in one sentence
SELECT run, id, code, slug, severity, certainty, line, count, mm, follows_from, message
FROM v_violation
ORDER BY run, coalesce(follows_from, id), follows_from IS NOT NULL, id
