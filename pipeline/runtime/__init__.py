"""Terminal output, signals, exit statuses, errors in writing files, the name of the machine."""
