"""What all tests share."""

import os

from hypothesis import settings

# Before anything imports MLflow: tests talk to nobody.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

# No database of examples: tests leave nothing outside their temporary folder.
settings.register_profile("w2v", database=None, deadline=None)
settings.load_profile("w2v")
