"""The experiment: configuration, stages, cache, tracking and reports around ``w2v``."""
