"""Speed benchmarks: compare training engines, and time the losses at several vocabulary sizes."""
