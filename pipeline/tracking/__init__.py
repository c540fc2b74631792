"""Record runs with MLflow: `track` opens a run, and `reopen` a run that has ended."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking.tracker import SharedStore, Tracker

if TYPE_CHECKING:
    from pipeline.config.settings import Tracking

__all__ = ["SharedStore", "Tracker", "reopen", "track"]

# Read by MLflow's import; else it sends telemetry, prints bars and URLs, and retries for minutes.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")


def track(
    config: "Tracking",
    outputs: Path,
    run_name: str,
    parameters: Mapping[str, object],
    tags: Mapping[str, str],
    shared: SharedStore | None = None,
) -> AbstractContextManager[Tracker]:
    """Return a context manager that opens a run, yields its `Tracker`, and closes the run.

    ``config`` says whether and where to record; by default, in ``outputs``. Through ``shared``, the
    jobs of a sweep share an open store and a queue of calls to it; with None, the run has its own.
    `InputError` is raised if the store cannot be used.
    """
    if config.name == "none":
        return nullcontext(Tracker())
    from pipeline.tracking.mlflow_tracker import track_in_mlflow  # importing MLflow takes seconds

    return track_in_mlflow(config, outputs, run_name, parameters, tags, shared or SharedStore())


def reopen(
    config: "Tracking", outputs: Path, run_id: str | None
) -> AbstractContextManager[Tracker]:
    """Return a context manager that yields a tracker, to add files to a run that has ended.

    Nothing is recorded if ``run_id`` is ``None``, or, with a warning, if the store cannot be used.
    """
    if run_id is None:
        return nullcontext(Tracker())
    from pipeline.tracking.mlflow_tracker import reopen_in_mlflow

    return reopen_in_mlflow(config, outputs, run_id)
