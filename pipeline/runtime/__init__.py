"""Set up the process, show progress, handle signals, explain write errors, set exit statuses."""
