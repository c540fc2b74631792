"""Speed benchmarks: training engines on a corpus, and the time per pair against V and K."""
