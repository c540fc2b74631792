"""What MLflow records. This module alone imports mlflow, and only when a run is tracked."""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from w2v.errors import InputError
from w2v.train import Epoch, Point

FLUSH_SECONDS = 2.0
"""Metrics wait for one another so long: MLflow takes a thousand as fast as one."""

BATCH = 1000
"""Metrics that MLflow takes at once."""


class Tracker:
    """Records nothing: what ``tracking=none`` gives, and the interface of the others."""

    run_id: str | None = None

    def point(self, point: Point) -> None:
        """Record the state of training after a piece of text; the step is the words seen."""

    def epoch(self, epoch: Epoch, words: int) -> None:
        """Record an epoch that ended after so many words in all."""

    def scores(self, scores: Mapping[str, float], words: int) -> None:
        """Record final figures."""

    def files(self, paths: Sequence[Path], folder: str) -> None:
        """Record files under a folder of the run's artifacts."""

    def table(self, csv: Path, name: str) -> None:
        """Record a CSV file as a table that the UI shows as one."""


class MlflowTracker(Tracker):
    """Records one run of an MLflow experiment."""

    def __init__(self, client: Any, run_id: str) -> None:
        self.client = client
        self.run_id = run_id
        self.waiting: list[Any] = []
        self.flushed = time.monotonic()

    def _add(self, values: Mapping[str, float | None], words: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.waiting += [
            Metric(key, value, now, words) for key, value in values.items() if value is not None
        ]
        if time.monotonic() - self.flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send the metrics that wait."""
        for first in range(0, len(self.waiting), BATCH):
            self.client.log_batch(self.run_id, metrics=self.waiting[first : first + BATCH])
        self.waiting.clear()
        self.flushed = time.monotonic()

    def point(self, point: Point) -> None:
        self._add({"train/loss": point.loss, "train/lr": point.lr}, point.words)

    def epoch(self, epoch: Epoch, words: int) -> None:
        values = {
            "epoch/loss": epoch.loss,
            "epoch/heldout_loss": epoch.heldout_loss,
            "epoch/words_per_second": epoch.words / epoch.seconds,
        }
        self._add(values, words)

    def scores(self, scores: Mapping[str, float], words: int) -> None:
        self._add(scores, words)

    def files(self, paths: Sequence[Path], folder: str) -> None:
        for path in paths:
            self.client.log_artifact(self.run_id, str(path), folder or None)

    def table(self, csv: Path, name: str) -> None:
        import pandas as pd

        table = pd.read_csv(csv, keep_default_na=False)  # "null" and "nan" are words here
        self.client.log_table(self.run_id, table, name)


@contextmanager
def track(
    uri: str | None,
    experiment: str,
    outputs: Path,
    run_name: str,
    parameters: Mapping[str, Any],
    tags: Mapping[str, str],
) -> Iterator[Tracker]:
    """Open a run and close it whatever happens: FINISHED, FAILED or KILLED.

    Parameters
    ----------
    uri
        Of a tracking store; ``None`` for SQLite and artifacts under ``outputs``.

    Raises
    ------
    InputError
        The store cannot be reached or opened.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from mlflow import MlflowClient
    from mlflow.entities import Param, RunStatus
    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    outputs.mkdir(parents=True, exist_ok=True)
    store = uri or f"sqlite:///{outputs.absolute() / 'mlflow.db'}"
    location = None if uri else (outputs.absolute() / "mlartifacts").as_uri()
    try:
        # A new database takes its schema from the first process; two at once break it.
        with FileLock(outputs / ".mlflow.lock"):
            client = MlflowClient(store)
            found = client.get_experiment_by_name(experiment)
            if found is None:
                experiment_id = client.create_experiment(experiment, location)
            elif found.lifecycle_stage == "deleted":
                raise InputError(
                    f"tracking.experiment={experiment}: is deleted; restore it or name another"
                )
            else:
                experiment_id = found.experiment_id
        run = client.create_run(experiment_id, run_name=run_name, tags=dict(tags))
        params = [Param(key, str(value)) for key, value in parameters.items()]
        for first in range(0, len(params), 100):
            client.log_batch(run.info.run_id, params=params[first : first + 100])
    except MlflowException as error:
        reason = str(error).split("\n")[0][:200]
        raise InputError(f"tracking.uri={store}: cannot be used ({reason})") from None
    tracker = MlflowTracker(client, run.info.run_id)
    status = RunStatus.FAILED
    try:
        yield tracker
        status = RunStatus.FINISHED
    except (KeyboardInterrupt, SystemExit):
        status = RunStatus.KILLED
        raise
    finally:
        try:
            tracker.flush()
        finally:
            client.set_terminated(run.info.run_id, RunStatus.to_string(status))
