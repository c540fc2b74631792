"""What people look at: pictures of an evaluation, the interactive map of words, the report."""
