"""Speed measurements: engines compared on a corpus, and how the cost of a pair grows."""
