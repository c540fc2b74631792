"""Terminal output, stopping by signals, and the machine's cores, memory and disk."""
