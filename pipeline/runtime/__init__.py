"""The process: terminal, signals, memory, disk and cores."""
