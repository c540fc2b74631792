"""Record a run in MLflow: open the run, send its metrics, files and models, and close it."""

import importlib.util
import json
import logging
import multiprocessing
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.util import Finalize
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from pipeline.tracking import killed_runs, retries
from pipeline.tracking.artifacts import upload_files, upload_table
from pipeline.tracking.models import log_model
from pipeline.tracking.provenance import provenance_tags
from pipeline.tracking.retries import QueueProxy, RetryQueue, one_line, retry_while_locked
from pipeline.tracking.store import (
    NeedsOwnTransactions,
    one_transaction,
    open_experiment,
    open_experiment_again,
    run_to_create,
    store_uri,
)
from pipeline.tracking.tracker import SharedStore, Tracker
from w2v.errors import InputError, failure_reason

if TYPE_CHECKING:
    from pipeline.config.settings import Tracking
    from w2v.training.history import Epoch, Point

CACHE = "cache"
"""The name of the cache folder in the folder of the outputs; the files in it never change."""

FLUSH_SECONDS = 5.0
"""Seconds to collect metrics before sending them: MLflow logs 1,000 at once as fast as one."""

MAX_TAG = 500
MAX_NOTE = 5000
"""Tags are cut to `MAX_TAG` characters, descriptions and lists of data sources to `MAX_NOTE`."""

SYSTEM_SECONDS = 5
"""Seconds between two measurements of the machine's load."""


class MlflowTracker(Tracker):
    """Records one MLflow run, `run`: collects metrics and other data, and sends them in `flush`.

    The first `flush` sends ``parameters``. If ``creation`` is not None, `run` has an ID, but is not
    in MLflow's store yet: the first `flush` creates it, with ``creation`` as arguments. Models are
    registered under ``register``, a name or ``name@alias``; None: they are not. If artifacts are
    local, files below the folder ``linked`` are hard-linked where possible; others are copied.
    """

    def __init__(
        self,
        client: MlflowClient,
        run: Run,
        register: str | None = None,
        parameters: Sequence[Param] = (),
        linked: Path | None = None,
        creation: Mapping[str, Any] | None = None,
    ) -> None:
        self.client = client
        self.creation = creation
        self.run = run
        self.run_id: str = run.info.run_id
        self.register = register
        self.linked = linked
        self.metrics: list[Metric] = []  # not sent yet, like the next three
        self.parameters = list(parameters)
        self.tags: dict[str, str] = {}
        self.datasets: list[DatasetInput] = []
        self.tables: list[dict[str, str]] = []  # all that MLflow's UI shows, sent or not
        self.flushed = time.monotonic()
        self.began: float | None = None  # when training began, in seconds since 1970
        self.epoch_seconds = 0.0  # training time of the epochs that have ended

    def flush(self, min_seconds: float = 0.0, status: str | None = None) -> None:
        """Send the collected metrics, parameters, tags and datasets, and create the run if needed.

        Do nothing within ``min_seconds`` of the last flush. End the run with ``status``, if given.
        """
        # A failed call is repeated as a whole, so methods flush before they collect new values.
        if time.monotonic() - self.flushed < min_seconds:
            return
        try:
            with one_transaction(self.client, self.run_id):
                self._create()
                self._send(status)
        except NeedsOwnTransactions:
            with one_transaction(self.client, self.run_id):
                self._create()
            self.creation = None
            self._send(status)
        self.creation = None
        for sent in (self.metrics, self.parameters, self.tags, self.datasets):
            sent.clear()
        self.flushed = time.monotonic()

    def _create(self) -> None:
        if self.creation is not None:
            info = self.run.info
            self.client.create_run(info.experiment_id, info.start_time, **self.creation)

    def _send(self, status: str | None) -> None:
        if self.datasets:
            self.client.log_inputs(self.run_id, datasets=self.datasets)
        tags = [RunTag(key, value) for key, value in self.tags.items()]
        if self.metrics or self.parameters or tags:
            self.client.log_batch(self.run_id, self.metrics, self.parameters, tags)
        if status is not None:
            self.client.set_terminated(self.run_id, status)

    def _add(self, values: Mapping[str, float | None], words: int, seconds: float) -> None:
        when = int(seconds * 1000)
        self.metrics += [
            Metric(key, value, when, words) for key, value in values.items() if value is not None
        ]

    def tag(self, tags: Mapping[str, str]) -> None:
        self.flush(FLUSH_SECONDS)
        self.tags |= {key: value[:MAX_TAG] for key, value in tags.items()}

    def note(self, markdown: str) -> None:
        self.tags["mlflow.note.content"] = markdown[:MAX_NOTE]

    def dataset(
        self, name: str, digest: str, origin: str | Sequence[str], profile: Mapping[str, int]
    ) -> None:
        kind, source = dataset_source(origin)
        dataset = Dataset(name, digest, kind, json.dumps(source), profile=json.dumps(dict(profile)))
        self.datasets.append(DatasetInput(dataset, [InputTag("mlflow.data.context", "training")]))

    # The time of a metric is when training began plus the seconds of training so far, so that all
    # runs have one time axis. Scores of the kept vectors come last: MLflow shows the latest values.

    def point(self, point: "Point") -> None:
        self.flush(FLUSH_SECONDS)
        self._add_point(point)

    def _add_point(self, point: "Point") -> None:
        if self.began is None:
            self.began = time.time() - point.seconds
        values = {"train/loss": point.loss, "train/lr": point.lr}
        self._add(values, point.words, self.began + point.seconds)

    def epoch(self, epoch: "Epoch", words: int) -> None:
        values = {
            "epoch/loss": epoch.loss,
            "epoch/heldout_loss": epoch.heldout_loss,
            "epoch/words_per_second": epoch.words / epoch.seconds,
            **epoch.scores,
        }
        self.epoch_seconds += epoch.seconds
        self._add(values, words, (self.began or time.time()) + self.epoch_seconds)

    def history(self, points: "Sequence[Point]", epochs: "Sequence[Epoch]") -> None:
        self.began = time.time() - (points[-1].seconds if points else 0.0)
        for point in points:
            self._add_point(point)
        words = 0
        for epoch in epochs:
            words += epoch.words
            self.epoch(epoch, words)

    def scores(self, scores: Mapping[str, float], words: int) -> None:
        self._add(scores, words, max(time.time(), (self.began or 0) + self.epoch_seconds + 0.001))

    def files(self, paths: Sequence[Path], folder: str) -> None:
        upload_files(self.client, self.run, paths, folder, self.linked)

    def table(self, csv: Path, name: str, grouped: tuple[str, str] | None = None) -> None:
        upload_table(self.client, self.run, csv, name, grouped)
        if (entry := {"path": name, "type": "table"}) not in self.tables:
            self.tables.append(entry)
        self.tags["mlflow.loggedArtifacts"] = json.dumps(self.tables)

    def model(self, folder: Path) -> None:
        self.flush()  # the model gets the parameters of the run
        log_model(self.client, self.run, folder, self.register)

    def choose_model(self, run_id: str, move: bool = True) -> None:
        name, _, alias = (self.register or "").partition("@")
        query = f"name = '{name}' and run_id = '{run_id}'"
        for version in self.client.search_model_versions(query) if alias else ():
            if move or alias not in self.client.get_registered_model(name).aliases:
                self.client.set_registered_model_alias(name, alias, version.version)

    def close_killed_jobs(self) -> None:
        assert self.linked is not None
        experiment = self.run.info.experiment_id
        killed_runs.close_killed_runs(self.client, experiment, self.linked, self.run_id)


@contextmanager
def reopen_in_mlflow(config: "Tracking", outputs: Path, run_id: str) -> Iterator[Tracker]:
    """Yield a tracker to add files to an ended run; if the store fails, warn and record nothing."""
    quiet_loggers()
    store = store_uri(config.uri, outputs)
    try:
        client, _ = open_experiment(store, config.experiment, outputs)
        killed_runs.wait_for_run(outputs, run_id, retries.MAX_WAIT)
        run = retry_while_locked(lambda: client.get_run(run_id))
    except (MlflowException, InputError) as error:
        problem = f"nothing is added to run {run_id} ({one_line(error)})"
        print(f"warning: {store}: {problem}", file=sys.stderr)
        yield Tracker()
        return
    calls = RetryQueue(store)
    try:
        tracker = MlflowTracker(client, run, linked=outputs.absolute() / CACHE)
        yield cast(Tracker, QueueProxy(tracker, calls))
    finally:
        if problem := calls.close():
            print(f"warning: {store} did not take all files ({problem})", file=sys.stderr)


def quiet_loggers() -> None:
    """Stop MLflow, and two libraries that it uses, from logging routine messages."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it warns at every retry


def dataset_source(origin: str | Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Convert a text's origin (path, URL or package names) to MLflow's source type and details."""
    if not isinstance(origin, str):
        return "code", {"tags": {"sources": ", ".join(origin)[:MAX_NOTE]}}
    scheme, separator, _ = origin.partition("://")
    if scheme in ("http", "https"):
        return "http", {"url": origin}
    return scheme if separator else "local", {"uri": origin}


def queue_of_jobs(shared: SharedStore, store: str) -> RetryQueue | None:
    """Return the queue of MLflow calls that all jobs of this process share: ``shared.calls``.

    In the main process, the sweep has made it. In a child process of `multiprocessing`, the first
    job makes it, and it is closed when the process ends. Its warnings show the address `store`. In
    other processes, such as submitit's, None is returned: each job must make a queue of its own.
    """
    if shared.calls is None and multiprocessing.parent_process() is not None:
        shared.calls = RetryQueue(store)
        Finalize(None, close_queue, [shared.calls], exitpriority=1)
    return shared.calls


def close_queue(calls: RetryQueue) -> None:
    """Close a `RetryQueue`, and print a warning if some of its calls to MLflow failed."""
    try:
        problem = calls.close()
    except (KeyboardInterrupt, SystemExit):
        calls.close(max_wait=0.0)  # what the store takes is recorded, a store that fails is left
        raise
    if problem:
        print(
            f"warning: {calls.name} did not take all of this run ({problem}); the results are "
            "on disk, and the same command, given again, logs them from there",
            file=sys.stderr,
        )


@contextmanager
def track_in_mlflow(
    config: "Tracking",
    outputs: Path,
    run_name: str,
    parameters: Mapping[str, object],
    tags: Mapping[str, str],
    shared: SharedStore,
) -> Iterator[Tracker]:
    """Implement `track` for MLflow: open an MLflow run, yield its tracker, and close the run.

    The tracker's methods put calls to MLflow into a `RetryQueue`, which repeats them if they fail.
    """
    if config.system_metrics and importlib.util.find_spec("psutil") is None:
        raise InputError("tracking.system_metrics=true: needs psutil; pip install 'psutil>=5.9'")
    quiet_loggers()
    store = store_uri(config.uri, outputs)
    is_job, is_sweep = killed_runs.PARENT in tags, tags.get("kind") == "sweep"
    location = None
    if is_job:
        if shared.opened is None:
            shared.opened = open_experiment_again(store, config.experiment, outputs)
        client, experiment_id, location = shared.opened
    else:
        client, experiment_id = open_experiment(store, config.experiment, outputs)
    with ExitStack() as stack:
        run_id = uuid4().hex  # unless MLflow chooses another
        lock = killed_runs.run_lock(outputs, tags, run_id)
        lock.acquire()
        stack.callback(killed_runs.unlock, lock)
        params = [Param(key, str(value)) for key, value in parameters.items()]
        creation: dict[str, Any] | None
        creation = {
            "run_name": run_name,
            "tags": {**provenance_tags(), **tags, killed_runs.TAG: str(lock.lock_file)},
        }
        if location is not None and not config.system_metrics:
            run = run_to_create(experiment_id, location, run_id)
        else:
            try:
                run = retry_while_locked(partial(client.create_run, experiment_id, **creation))
            except MlflowException as error:
                reason = one_line(error)
                raise InputError(f"tracking.uri={store}: cannot be used ({reason})") from None
            creation = None
        # The folder of a single run is its user's, who may edit the files in it.
        linked = outputs.absolute() if is_job or is_sweep else outputs.absolute() / CACHE
        tracker = MlflowTracker(client, run, config.register, params, linked, creation)
        calls = (queue_of_jobs(shared, store) if is_job else None) or RetryQueue(store)
        if is_sweep:
            shared.calls = calls
        if not is_job:  # otherwise the sweep does it
            calls.put(killed_runs.close_killed_runs, client, experiment_id, outputs)
        # So that MLflow shows a long job while it runs.
        opening = threading.Timer(FLUSH_SECONDS, calls.put, [tracker.flush])
        opening.daemon = True
        if creation is not None:
            opening.start()
        status = "FAILED"
        try:
            with ExitStack() as monitoring:
                if config.system_metrics:
                    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

                    make: Any = SystemMetricsMonitor
                    monitor = make(
                        tracker.run_id, sampling_interval=SYSTEM_SECONDS, tracking_uri=store
                    )
                    monitor.start()
                    monitoring.callback(monitor.finish)
                yield cast(Tracker, QueueProxy(tracker, calls))
            status = "FINISHED"
        except (KeyboardInterrupt, SystemExit):
            status = "KILLED"
            raise
        except Exception as error:
            calls.put(tracker.tag, {"failure": failure_reason(error)})
            raise
        finally:
            opening.cancel()
            calls.put(tracker.flush, status=status)
            calls.put(stack.pop_all().close)  # the run is closed before its lock is released
            if is_sweep:
                shared.calls = None
            if calls is not shared.calls:
                close_queue(calls)
