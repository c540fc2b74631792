"""What people look at after a run: charts, the interactive map of words, and the report."""
