"""HTML reports of runs, sweeps and comparisons, with their charts and the map of words."""
