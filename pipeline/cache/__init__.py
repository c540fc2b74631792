"""The cache of stage results, and its command line."""
