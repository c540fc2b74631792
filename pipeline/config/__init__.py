"""The settings of an experiment, their validation, and error messages for invalid settings."""
