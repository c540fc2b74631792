"""What people look at: plots, the map of words, the report."""
