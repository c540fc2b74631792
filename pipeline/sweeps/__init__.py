"""Many runs as one: planned, run, compared."""
