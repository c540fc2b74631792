"""The settings of an experiment, their checks, and the error message for each mistake."""
