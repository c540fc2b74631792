"""What a run needs of its machine: terminal output, stopping by signals, cores, memory, disk."""
