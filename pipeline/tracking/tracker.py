"""What MLflow records of a run. MLflow is imported in this folder only, when a run is tracked."""

import getpass
import importlib.util
import json
import logging
import os
import platform
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from filelock import FileLock, Timeout

from pipeline.tracking import process as owners
from pipeline.tracking.retry_queue import Courier, Delivered, brief, database_of, patient, who_holds
from w2v.errors import InputError
from w2v.training.train import Epoch, Point

if TYPE_CHECKING:
    from pipeline.config.schema import TrackingConfig

ROOT = Path(__file__).parents[2]

FLUSH_SECONDS = 5.0
"""What is to be recorded waits so long for more: MLflow takes a thousand metrics nearly as fast
as one."""

BATCH = 900
"""Metrics sent at once; with the tags, MLflow takes 1000 of all."""

DATABASE = "mlflow.db"
"""The default store's file under the outputs."""

MODEL = "words"
"""The name of every run's model, so that models of several runs stand side by side."""

NEIGHBOURS = "neighbours.csv"
"""A table of every run, recorded with a word a row; a sweep has that of its best job."""

NEIGHBOURS_LISTED = ("word", "neighbour")

SYSTEM_SECONDS = 5
"""Between two readings of the machine's load."""

RETRIES = 6
"""So often MLflow tries to reach a database: for six seconds, and not for two minutes."""

AGAIN = 10
"""So often a dataset is recorded that other jobs record as well."""

PACKAGES = ("numpy", "scipy", "numba", "pandas", "gensim", "hydra-core", "mlflow")
"""Their versions are recorded."""

# MLflow's own defaults: telemetry, progress bars, addresses of runs, minutes of retries.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")


class Tracker:
    """Records nothing: what ``tracking=none`` gives, and the interface of the others."""

    run_id: str | None = None

    def tag(self, tags: Mapping[str, str]) -> None:
        """Record what a run is found by."""

    def dataset(
        self, name: str, digest: str, origin: str | Sequence[str], profile: Mapping[str, int]
    ) -> None:
        """Record the text that is read.

        Parameters
        ----------
        digest
            Of the content: equal for equal text. At most 36 characters.
        origin
            A path or an address, or several; or names of packages.
        profile
            Its size.
        """

    def point(self, point: Point) -> None:
        """Record the state of training after a piece of text; the step is the words seen."""

    def epoch(self, epoch: Epoch, words: int) -> None:
        """Record an epoch that ended after so many words in all."""

    def history(self, points: Sequence[Point], epochs: Sequence[Epoch]) -> None:
        """Record a training that is over: the same metrics at the same steps."""

    def scores(self, scores: Mapping[str, float], words: int) -> None:
        """Record final figures."""

    def files(self, paths: Sequence[Path], folder: str) -> None:
        """Record files under a folder of the run's artifacts."""

    def table(self, csv: Path, name: str, listed: tuple[str, str] | None = None) -> None:
        """Record a CSV file as a table that the UI shows as one.

        ``listed`` names two columns: then there is one row for each value of the first, with all
        values of the second in one cell. The UI can lay such tables of several runs side by side.
        """

    def model(self, folder: Path) -> None:
        """Record the vectors in a folder as a model that can be loaded and served."""

    def sweep(self, folder: Path, summary: Mapping[str, Any], note: str) -> None:
        """Record a sweep on its own run: what `pipeline.sweeps.analysis.write` left, and a note."""


class MlflowTracker(Tracker):
    """Records one run of an MLflow experiment.

    Parameters
    ----------
    client
        An ``mlflow.MlflowClient``.
    run
        An ``mlflow.entities.Run`` that is RUNNING.
    register
        The registered model that the run's model becomes a version of, and its alias:
        ``name`` or ``name@alias``.
    """

    def __init__(self, client: Any, run: Any, register: str | None = None) -> None:
        self.client = client
        self.run = run
        self.run_id: str = run.info.run_id
        self.register = register
        self.metrics: list[Any] = []
        self.tags: dict[str, str] = {}
        self.flushed = time.monotonic()
        self.began: float | None = None  # when training began, in seconds since 1970
        self.ended = 0.0  # seconds of training in the epochs that have ended

    def _send(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call the client: every write to the run goes through here."""
        return getattr(self.client, method)(self.run_id, *arguments, **options)

    def flush(self) -> None:
        """Send the metrics and the tags that wait."""
        from mlflow.entities import RunTag

        tags = [RunTag(key, value) for key, value in self.tags.items()]
        for first in range(0, max(len(self.metrics), len(tags) > 0), BATCH):
            batch = self.metrics[first : first + BATCH]
            self._send("log_batch", metrics=batch, tags=tags if first == 0 else [])
        self.metrics.clear()
        self.tags.clear()
        self.flushed = time.monotonic()

    def _add(self, values: Mapping[str, float | None], words: int, seconds: float) -> None:
        from mlflow.entities import Metric

        when = int(seconds * 1000)
        self.metrics += [
            Metric(key, value, when, words) for key, value in values.items() if value is not None
        ]
        if time.monotonic() - self.flushed > FLUSH_SECONDS:
            self.flush()

    def tag(self, tags: Mapping[str, str]) -> None:
        self.tags.update(tags)

    def dataset(
        self, name: str, digest: str, origin: str | Sequence[str], profile: Mapping[str, int]
    ) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag
        from mlflow.exceptions import MlflowException

        kind, source = dataset_source(origin)
        dataset = Dataset(name, digest, kind, json.dumps(source), profile=json.dumps(dict(profile)))
        context = InputTag("mlflow.data.context", "training")
        inputs = [DatasetInput(dataset, [context])]
        # MLflow looks for the dataset and then adds it: of jobs that do so at the same moment one
        # adds it, and the others find it when they look again.
        for left in reversed(range(AGAIN)):
            try:
                self._send("log_inputs", datasets=inputs)
                return
            except MlflowException as error:
                if left == 0 or not re.search("UNIQUE|[Dd]uplicate", str(error)):
                    raise
                time.sleep(random.uniform(0, 0.1))

    # A metric's time is the time spent on training, counted from its beginning: runs from the
    # cache and runs on busy machines have the same time axis in the UI.

    def point(self, point: Point) -> None:
        if self.began is None:
            self.began = time.time() - point.seconds
        values = {"train/loss": point.loss, "train/lr": point.lr}
        self._add(values, point.words, self.began + point.seconds)

    def epoch(self, epoch: Epoch, words: int) -> None:
        values = {
            "epoch/loss": epoch.loss,
            "epoch/heldout_loss": epoch.heldout_loss,
            "epoch/words_per_second": epoch.words / epoch.seconds,
        }
        self.ended += epoch.seconds
        self._add(values, words, (self.began or time.time()) + self.ended)

    def history(self, points: Sequence[Point], epochs: Sequence[Epoch]) -> None:
        self.began = time.time() - sum(epoch.seconds for epoch in epochs)
        for point in points:
            self.point(point)
        words = 0
        for epoch in epochs:
            words += epoch.words
            self.epoch(epoch, words)

    def scores(self, scores: Mapping[str, float], words: int) -> None:
        self._add(scores, words, time.time())

    def files(self, paths: Sequence[Path], folder: str) -> None:
        for path in paths:
            self._send("log_artifact", str(path), folder or None)

    def table(self, csv: Path, name: str, listed: tuple[str, str] | None = None) -> None:
        import pandas as pd

        # "null" and "nan" are words here.
        table = pd.read_csv(csv, keep_default_na=False, na_values=[""])
        if listed is not None:
            row, cell = listed
            table = table.groupby(row, sort=False)[cell].agg(", ".join).reset_index()
        # The UI takes a dot for a way into nested objects, and shows an empty column.
        self._send("log_table", table.rename(columns=lambda key: key.replace(".", "/")), name)

    def model(self, folder: Path) -> None:
        from mlflow.entities import LoggedModelOutput
        from mlflow.models import Model

        from pipeline.tracking.models import save_model

        logged = self.client.create_logged_model(
            self.run.info.experiment_id,
            name=MODEL,
            source_run_id=self.run_id,
            params=self.client.get_run(self.run_id).data.params,
        )
        with tempfile.TemporaryDirectory() as temporary:
            made = Path(temporary) / MODEL
            described = Model(
                artifact_path=logged.artifact_location,
                model_uuid=logged.model_id,
                run_id=self.run_id,
                model_id=logged.model_id,
            )
            save_model(folder, made, described)
            self.client.log_model_artifacts(logged.model_id, str(made))
        self.client.finalize_logged_model(logged.model_id, "READY")
        self._send("log_outputs", models=[LoggedModelOutput(logged.model_id, step=0)])
        if self.register:
            name, _, alias = self.register.partition("@")
            self._register(logged, name, alias)

    def _register(self, logged: Any, name: str, alias: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        # The place itself: models:/id is looked up in the store of the environment, not in this.
        version = self.client.create_model_version(
            name, logged.artifact_location, self.run_id, model_id=logged.model_id
        )
        if alias:
            self.client.set_registered_model_alias(name, alias, version.version)

    def _name_the_best(self, run_id: str) -> None:
        """Give the alias of a sweep to the version that one of its jobs registered."""
        name, _, alias = (self.register or "").partition("@")
        for version in self.client.search_model_versions(f"name = '{name}'") if alias else ():
            if version.run_id == run_id:
                self.client.set_registered_model_alias(name, alias, version.version)

    def sweep(self, folder: Path, summary: Mapping[str, Any], note: str) -> None:
        self.files(sorted(folder.glob("*.png")), "plots")
        self.files(sorted([*folder.glob("*.csv"), *folder.glob("*.parquet")]), "tables")
        # The UI's comparison of artifacts opens on the first table: one that the jobs have, too.
        tables = sorted(folder.glob("*.csv"), key=lambda csv: (csv.name != NEIGHBOURS, csv.name))
        for csv in tables:
            if csv.stat().st_size > 1:
                listed = NEIGHBOURS_LISTED if csv.name == NEIGHBOURS else None
                self.table(csv, f"tables/{csv.stem}.json", listed)
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
        runs = {row["job"]: row.get("run_id") for row in summary["jobs"]}
        if len(summary["best"]) == 1:  # of several groups that do not compare, none is the best
            self._name_the_best(runs[int(summary["best"][0]["jobs"].split()[0])])
        best = [f"job {row['jobs'].split()[0]}" for row in summary["best"]]
        self.client.set_tag(self.run_id, "best", ", ".join(best)[:TAG_LENGTH] or "none")


def dataset_source(origin: str | Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The type of a dataset's source and the source itself, as ``mlflow.data`` reads them."""
    if not isinstance(origin, str):
        return "code", {"tags": {"sources": ", ".join(origin)}}
    scheme, separator, _ = origin.partition("://")
    if scheme in ("http", "https"):
        return "http", {"url": origin}
    return scheme if separator else "local", {"uri": origin}


def store_uri(uri: str | None, outputs: Path) -> str:
    """The address of the tracking store: ``uri``, or SQLite under ``outputs``.

    Raises
    ------
    InputError
        A folder that would be another one in an address.
    """
    if uri is None and re.search(r"\?|%[0-9a-fA-F]{2}", str(outputs.absolute())):
        raise InputError(
            f"outputs={outputs}: MLflow cannot keep its database in a folder with ? or %20 and the "
            f"like in its path ({outputs.absolute()}); rename it, or set tracking=none"
        )
    return uri or f"sqlite:///{outputs.absolute() / DATABASE}"


def first_line(error: Exception) -> str:
    """What an exception says, short enough for one line."""
    return str(error).strip().split("\n")[0][:200]


def run_tags() -> dict[str, str]:
    """Where a run comes from: the commit, and the versions of what it runs on, but no host."""
    tags = {"mlflow.source.name": "pipeline/run.py", "mlflow.source.type": "LOCAL"}
    with suppress(OSError, KeyError):  # a container's user need not have a name
        tags["mlflow.user"] = getpass.getuser()
    tags |= git_tags(ROOT)
    tags["environment.python"] = platform.python_version()
    tags["environment.platform"] = f"{platform.system()} {platform.machine()}"
    for package in PACKAGES:
        tags[f"environment.{package}"] = metadata.version(package)
    return tags


def git_tags(root: Path) -> dict[str, str]:
    """The commit of a checkout and whether files differ from it; nothing where git cannot tell."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return result.stdout

    try:
        prefix, commit = git("rev-parse", "--show-prefix", "HEAD").split("\n")[:2]
        if prefix:  # installed below a checkout of something else
            return {}
        changed = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
    return {"mlflow.source.git.commit": commit, "git.changed": str(bool(changed)).lower()}


def make_store(database: Path, artifacts: Path) -> None:
    """Make an SQLite store, whole or not at all.

    MLflow builds its schema in some 300 steps and waits for the disk after each, for seconds. A
    file that is renamed into place when it is ready need not wait, and a process that is killed
    on the way leaves no half-made database behind.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def hurry(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")

    aside = database.with_name(f".{database.name}.part")
    aside.unlink(missing_ok=True)
    event.listen(Engine, "connect", hurry)
    try:
        store: Any = SqlAlchemyStore
        store(f"sqlite:///{aside}", artifacts.as_uri()).engine.dispose()
    finally:
        event.remove(Engine, "connect", hurry)
    with aside.open("rb+") as file:
        os.fsync(file.fileno())
    aside.replace(database)


def open_experiment(store: str, name: str, outputs: Path) -> tuple[Any, str]:
    """A client of a store and the id of the experiment, both made if need be.

    Raises
    ------
    InputError
        The store cannot be used, or the experiment has been deleted.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    # ImportError: a database whose driver is not installed. ValueError: no address at all.
    faults: tuple[type[Exception], ...] = (MlflowException, OSError, ImportError, ValueError)
    artifacts = outputs.absolute() / "mlartifacts"
    served = store.startswith(("http://", "https://"))  # a server has a place of its own
    if not served:
        from mlflow.store.db import utils
        from sqlalchemy.exc import SQLAlchemyError

        utils.MAX_RETRY_COUNT = min(utils.MAX_RETRY_COUNT, RETRIES)
        faults = (*faults, SQLAlchemyError)
        # What it has to say is said once, in our line.
        logging.getLogger("mlflow.store").setLevel(logging.CRITICAL)
        if store.startswith("sqlite:"):
            check_database(store)
    database = database_of(store)
    try:
        outputs.mkdir(parents=True, exist_ok=True)
        # Parallel jobs: the first makes the store and the experiment, the others find them.
        with FileLock(outputs / ".mlflow.lock"):
            if database is not None and not database.exists():
                database.parent.mkdir(parents=True, exist_ok=True)
                make_store(database, artifacts)
            client = patient(lambda: MlflowClient(store, registry_uri=store), store)
            found = patient(lambda: client.get_experiment_by_name(name), store)
            if found is None:
                location = None if served else artifacts.as_uri()
                # The UI then opens the experiment as one of training, not of language models.
                kind = {"mlflow.experimentKind": "custom_model_development"}
                return client, client.create_experiment(name, location, kind)
    except InputError:
        raise
    except faults as error:
        raise InputError(f"tracking.uri={store}: cannot be used ({brief(error)})") from None
    if found.lifecycle_stage == "deleted":
        raise InputError(f"tracking.experiment={name}: is deleted; restore it or name another")
    return client, found.experiment_id


def check_database(store: str) -> None:
    """Refuse at once what SQLite cannot open: MLflow would try again for two minutes.

    Raises
    ------
    InputError
    """
    path = database_of(store)
    if path is None:
        raise InputError(f"tracking.uri={store}: names no file, so all would be lost with the run")
    if path.is_dir():
        raise InputError(f"tracking.uri={store}: cannot be used ({path} is a folder)")
    if path.exists():
        try:
            with closing(sqlite3.connect(path, timeout=0)) as database:
                database.execute("pragma schema_version").fetchone()
        except sqlite3.Error as error:
            if "locked" not in str(error):
                raise InputError(f"tracking.uri={store}: cannot be used ({error})") from None


@contextmanager
def system_metrics(run_id: str, store: str) -> Iterator[None]:
    """Record the machine's load while the block runs."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    make: Any = SystemMetricsMonitor
    monitor = make(run_id, sampling_interval=SYSTEM_SECONDS, tracking_uri=store)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()


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


def close_abandoned(client: Any, experiment_id: str) -> None:
    """Close as KILLED the runs of an experiment whose process can no longer do so itself."""
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        if owners.gone(run.data.tags.get(owners.TAG, "")):
            client.set_terminated(run.info.run_id, "KILLED")


@contextmanager
def track(
    config: "TrackingConfig",
    outputs: Path,
    run_name: str,
    parameters: Mapping[str, Any],
    tags: Mapping[str, str],
) -> Iterator[Tracker]:
    """Open a run and close it whatever happens: FINISHED, FAILED or KILLED.

    Parameters
    ----------
    config
        Where and what to record.
    outputs
        Where the default store lies, and the artifacts of a store that is no server.

    Raises
    ------
    InputError
        The store cannot be reached or opened, or psutil is wanted and not installed.
    """
    if config.system_metrics and importlib.util.find_spec("psutil") is None:
        raise InputError("tracking.system_metrics=true: needs psutil; pip install 'psutil>=5.9'")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it tells of every try
    from mlflow.entities import Param, RunStatus
    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    store = store_uri(config.uri, outputs)
    client, experiment_id = open_experiment(store, config.experiment, outputs)
    try:
        patient(lambda: close_abandoned(client, experiment_id), store)
        tags = {**run_tags(), **tags, **owners.mark()}
        run = patient(lambda: client.create_run(experiment_id, run_name=run_name, tags=tags), store)
        params = [Param(key, str(value)) for key, value in parameters.items()]
        for first in range(0, len(params), 100):
            client.log_batch(run.info.run_id, params=params[first : first + 100])
    except MlflowException as error:
        raise InputError(f"tracking.uri={store}: cannot be used ({brief(error)})") from None
    tracker = MlflowTracker(client, run, config.register)
    courier = Courier(may_pass, store)
    delivered = cast(Tracker, Delivered(tracker, courier))
    status = RunStatus.FAILED
    try:
        if config.system_metrics:
            with system_metrics(tracker.run_id, store):
                yield delivered
        else:
            yield delivered
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
        courier.send(tracker.flush)
        ended = RunStatus.to_string(status)
        courier.send(lambda: client.set_terminated(run.info.run_id, ended))
        trouble = courier.close()
        if trouble:
            print(
                f"warning: {store} did not take all of this run ({trouble}{who_holds(store)}); "
                "the results are on disk, and the same command, given again, logs them from there",
                file=sys.stderr,
            )


def may_pass(error: Exception) -> bool:
    """Whether a store may take later what it does not take now: it is away, locked or full."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        status: int = error.get_http_status_code()  # type: ignore[no-untyped-call]
        return status >= 500
    return isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
