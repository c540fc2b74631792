"""Settings: what can be set, and how mistakes are reported."""
