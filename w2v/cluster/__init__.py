"""Training of one model by several workers, in this process or on a Ray cluster."""
