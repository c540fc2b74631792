"""The stage cache and its command line."""
