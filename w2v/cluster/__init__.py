"""Training over several workers, in this process or on a Ray cluster."""
