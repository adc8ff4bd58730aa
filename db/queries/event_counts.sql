-- How many stored events there are of each name
-- run: number of the run
-- name: name of the event
-- count: how many
-- first_line: line of the first
-- last_line: line of the last
SELECT run, name, count(*) AS count, min(line) AS first_line, max(line) AS last_line
FROM v_event
GROUP BY run, name
ORDER BY run, count(*) DESC, name
