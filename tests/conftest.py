"""What all tests share."""

from hypothesis import settings

# No database of examples: tests leave nothing outside their temporary folder.
settings.register_profile("w2v", database=None, deadline=None)
settings.load_profile("w2v")
