"""Terminal output, signals, exit statuses, errors of full disks, and the name of the machine."""
