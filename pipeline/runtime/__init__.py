"""Terminal output, signals, exit statuses, errors in writing files, and the machine's processor."""
