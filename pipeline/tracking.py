"""What MLflow records. This module alone imports mlflow, and only when a run is tracked."""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

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

    def sweep(self, folder: Path, summary: Mapping[str, Any], note: str) -> None:
        """Record a sweep on its own run: what `pipeline.sweeps.write` left, and a note."""


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

    def sweep(self, folder: Path, summary: Mapping[str, Any], note: str) -> None:
        self.files(sorted(folder.glob("*.png")), "plots")
        self.files(sorted([*folder.glob("*.csv"), *folder.glob("*.parquet")]), "tables")
        for csv in sorted(folder.glob("*.csv")):
            if csv.stat().st_size > 1:
                self.table(csv, f"tables/{csv.stem}.json")
        self.files([folder / "summary.json"], "")
        finished = summary["counts"].get("finished", 0)
        figures = {
            "sweep/finished": finished,
            "sweep/failed": sum(summary["counts"].values()) - finished,
            "sweep/trained": summary["trained"],
            "sweep/seconds": summary["seconds"],
        }
        if len(summary["best"]) == 1:
            figures["sweep/best"] = summary["best"][0]["mean"]
        self.scores(figures, 0)
        self.client.set_tag(self.run_id, "mlflow.note.content", note[:NOTE_LENGTH])
        self.client.set_tag(self.run_id, "objective", summary["objective"])
        best = [f"job {row['jobs'].split()[0]}" for row in summary["best"]]
        self.client.set_tag(self.run_id, "best", ", ".join(best)[:TAG_LENGTH] or "none")


NOTE_LENGTH = 5000
TAG_LENGTH = 500
"""In characters: all stores take as much."""


def close_jobs(tracker: Tracker) -> None:
    """End the runs of a sweep's jobs that their processes left open."""
    if isinstance(tracker, MlflowTracker):
        assert tracker.run_id is not None
        _close_children(tracker.client, tracker.run_id)


def close_killed_sweeps(tracker: Tracker) -> None:
    """End the runs of sweeps whose process was killed, and of their jobs.

    A sweep holds a lock in its folder while it lives. One whose folder is not here belongs to
    another machine and is left alone.
    """
    if not isinstance(tracker, MlflowTracker):
        return
    assert tracker.run_id is not None
    experiment = tracker.client.get_run(tracker.run_id).info.experiment_id
    open_sweeps = "attributes.status = 'RUNNING' and tags.kind = 'sweep'"
    for run in tracker.client.search_runs([experiment], open_sweeps, max_results=1000):
        lock = Path(run.data.tags.get("sweep_dir", "")) / ".lock"
        if run.info.run_id == tracker.run_id or not _let_go(lock):
            continue
        _close_children(tracker.client, run.info.run_id)
        tracker.client.set_tag(run.info.run_id, "failure", KILLED)
        tracker.client.set_terminated(run.info.run_id, "KILLED")


KILLED = "its process was killed"


def _close_children(client: Any, parent: str) -> None:
    run = client.get_run(parent)
    children = f"attributes.status = 'RUNNING' and tags.`mlflow.parentRunId` = '{parent}'"
    for child in client.search_runs([run.info.experiment_id], children, max_results=10_000):
        folder = Path(run.data.tags["sweep_dir"]) / child.data.tags.get("job", "")
        if _let_go(folder / ".lock", LET_GO_SECONDS):
            client.set_tag(child.info.run_id, "failure", KILLED)
            client.set_terminated(child.info.run_id, "KILLED")


LET_GO_SECONDS = 10.0
"""A worker that was told to end may take so long."""


def _let_go(lock: Path, seconds: float = 0.0) -> bool:
    """Whether a lock lies here and its process no longer holds it."""
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=seconds):
            return True
    except Timeout:
        return False


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
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        with suppress(MlflowException):
            client.set_tag(run.info.run_id, "failure", reason[:TAG_LENGTH])
        raise
    finally:
        try:
            tracker.flush()
        finally:
            client.set_terminated(run.info.run_id, RunStatus.to_string(status))
