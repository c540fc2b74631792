"""Terminal output, signals, disk errors and memory checks."""
