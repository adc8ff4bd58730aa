SELECT name, count(*) FROM ftrace_event GROUP BY name;
