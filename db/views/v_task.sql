-- Tasks, as far as the log knows them.
-- run: number of the run
-- pid: the kernel's task id
-- comm: last name shown, for display only
-- first_line: first line of the task
-- exit_line: line of its exit; null: not seen
SELECT run, pid, comm, first_line, exit_line
FROM task
