"""Open a tracking store: find its address, create its SQLite file, and open the experiment."""

import logging
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run, RunData, RunInfo
from mlflow.exceptions import MlflowException
from mlflow.store.db import utils as db_utils
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from pipeline.tracking.retries import MAX_WAIT, one_line, retry_while_locked
from w2v.errors import InputError
from w2v.files import fsync

DATABASE = "mlflow.db"
"""The file of the default store, in the folder of the outputs."""

ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""The tables and columns of MLflow's database that hold addresses of artifacts."""

STORE_ERRORS = (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ImportError, ValueError)
"""Errors of an unusable store, such as a missing driver (ImportError) or a malformed address."""


def store_uri(uri: str | None, outputs: Path) -> str:
    """Return the address of the tracking store: ``uri``, or the SQLite file in ``outputs``.

    `InputError` is raised if MLflow would misread the path of that file.
    """
    if uri is None and re.search(r"\?|%[0-9a-fA-F]{2}", str(outputs.absolute())):
        raise InputError(
            f"outputs={outputs}: MLflow cannot keep its database in a folder with ? or %20 and the "
            f"like in its path ({outputs.absolute()}); rename it, or set tracking=none"
        )
    return uri or f"sqlite:///{outputs.absolute() / DATABASE}"


def sqlite_file(store: str) -> Path | None:
    """Return an SQLite URI's file, None for other URIs; `InputError` for in-memory databases."""
    if not store.startswith("sqlite:"):
        return None
    _, _, path = store.partition("?")[0].partition(":///")
    if path in ("", ":memory:"):
        raise InputError(f"tracking.uri={store}: names no file, so all would be lost with the run")
    if Path(path).is_dir():
        raise InputError(f"tracking.uri={store}: cannot be used ({path} is a folder)")
    return Path(path)


def open_experiment(
    store: str, name: str, outputs: Path, made: bool = False
) -> tuple[MlflowClient, str]:
    """Return an MLflow client and the id of the experiment ``name``, created if needed.

    A new experiment keeps its artifacts in ``outputs``, unless the store is a server. A store
    in an SQLite file is first created if needed; if artifacts were moved, their addresses in it are
    corrected. In a job, ``made=True`` skips both steps, because the job's sweep has done them.
    `InputError` is raised if the store cannot be used, or the experiment was deleted.
    """
    logging.getLogger("mlflow.store").setLevel(logging.CRITICAL)  # its errors become an InputError
    db_utils.MAX_RETRY_COUNT = 6  # MLflow tries to connect for 6 seconds, not for 2 minutes
    artifacts = outputs.absolute() / "mlartifacts"
    database = None if made else sqlite_file(store)
    try:
        outputs.mkdir(parents=True, exist_ok=True)
        # Of runs that start together, the first makes the store; the others find it.
        with nullcontext() if made else FileLock(outputs / ".mlflow.lock"):
            if database is not None:
                if not database.exists():
                    make_sqlite_store(database, artifacts)
                follow_artifacts(database, artifacts)
            client = retry_while_locked(lambda: MlflowClient(store, registry_uri=store))
            found = retry_while_locked(lambda: client.get_experiment_by_name(name))
            if found is None:
                on_server = store.startswith(("http://", "https://"))
                # With this tag, MLflow's UI shows its pages for training, not for language models.
                tags = {"mlflow.experimentKind": "custom_model_development"}
                location = None if on_server else artifacts.as_uri()
                return client, client.create_experiment(name, location, tags)
    except STORE_ERRORS as error:
        raise InputError(f"tracking.uri={store}: cannot be used ({one_line(error)})") from None
    if found.lifecycle_stage == "deleted":
        raise InputError(f"tracking.experiment={name}: is deleted; restore it or name another")
    return client, found.experiment_id


class NeedsOwnTransactions(MlflowException):
    """Raised if an MLflow call rolls back a transaction that it shares with other calls."""


class SharedSessions:
    """A replacement for MLflow's session factory that lets several calls share a transaction.

    Calls in a block of `together` share one, which is committed at the end of the block.
    Otherwise, MLflow uses at least one per call, and the database waits for the disk after each.
    """

    def __init__(self, make: Callable[..., AbstractContextManager[Any]]) -> None:
        self.make = make
        self.thread = threading.local()  # other threads keep their own sessions

    def __call__(self, read_only: bool = True) -> AbstractContextManager[Any]:
        shared = getattr(self.thread, "session", None)
        return self.make(read_only) if shared is None else nullcontext(shared)

    @contextmanager
    def together(self, new_id: str | None) -> Iterator[None]:
        """Share one transaction among MLflow calls of this thread; a new run gets ID `new_id`."""
        with self.make(read_only=False) as session:
            self.thread.session = Uncommitted(session, new_id)
            try:
                yield
            finally:
                del self.thread.session


class Uncommitted:
    """The database session of all MLflow calls in a ``with SharedSessions.together(...)`` block.

    It is committed when the block ends. A run created in the block gets the ID `new_id`, if given.
    """

    def __init__(self, session: Any, new_id: str | None) -> None:
        self._session = session
        self._new_id = new_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def add(self, row: Any) -> None:
        if self._new_id is not None and type(row).__name__ == "SqlRun":
            row.artifact_uri = row.artifact_uri.replace(row.run_uuid, self._new_id)
            row.run_uuid = self._new_id
        self._session.add(row)

    def commit(self) -> None:
        self._session.flush()

    def rollback(self) -> None:
        raise NeedsOwnTransactions("a call was taken back")


def one_transaction(
    client: MlflowClient, new_id: str | None = None
) -> AbstractContextManager[None]:
    """Return a context manager in which MLflow calls of this thread share one transaction.

    If the block fails, nothing is written. If a call must roll back, `NeedsOwnTransactions` is
    raised: make the calls without this function. A run created in the block gets the ID `new_id`;
    None: MLflow generates it. If the store is no database, calls write at once and ignore `new_id`.
    """
    store: Any = client._tracking_client.store
    if not isinstance(store, SqlAlchemyStore):
        return nullcontext()
    if not isinstance(store.ManagedSessionMaker, SharedSessions):
        store.ManagedSessionMaker = SharedSessions(store.ManagedSessionMaker)
    return store.ManagedSessionMaker.together(new_id)


def open_experiment_again(
    store: str, name: str, outputs: Path
) -> tuple[MlflowClient, str, str | None]:
    """Open, in a job, the experiment that its sweep has created.

    `store` is the address of the tracking store, `outputs` the output folder. Return a client, the
    experiment's ID, and the URI of the experiment's artifacts. The URI is an argument for
    `run_to_create`; it is ``None`` if the store is no database, or the artifacts are not local.
    """
    client, number = open_experiment(store, name, outputs, made=True)
    location = client.get_experiment(number).artifact_location
    local = isinstance(client._tracking_client.store, SqlAlchemyStore)
    return client, number, location if local and location.startswith("file:") else None


def run_to_create(experiment_id: str, location: str, run_id: str) -> Run:
    """Make the `Run` object of a run to be stored later; its artifacts go below URI `location`."""
    now = int(time.time() * 1000)
    address = f"{location.rstrip('/')}/{run_id}/{SqlAlchemyStore.ARTIFACTS_FOLDER_NAME}"
    info = RunInfo(run_id, experiment_id, "", "RUNNING", now, None, "active", address)
    return Run(info, RunData())


def make_sqlite_store(database: Path, artifacts: Path) -> None:
    """Create the SQLite file `database` of a tracking store atomically; replace an older one.

    Artifacts of its default experiment go to `artifacts`. MLflow would wait for the disk after each
    of 300 steps; this function waits once, and renames a temporary file at the end.
    """

    def do_not_sync(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")

    database.parent.mkdir(parents=True, exist_ok=True)
    part = database.with_name(f".{database.name}.part")
    part.unlink(missing_ok=True)
    event.listen(Engine, "connect", do_not_sync)
    try:
        make: Any = SqlAlchemyStore
        make(f"sqlite:///{part}", artifacts.as_uri()).engine.dispose()
    finally:
        event.remove(Engine, "connect", do_not_sync)
    with part.open("rb+") as file:
        fsync(file)
    part.replace(database)


def follow_artifacts(database: Path, artifacts: Path) -> None:
    """Correct the addresses of artifacts in an SQLite file after the outputs were moved or copied.

    MLflow stores absolute addresses in the file `database`. Addresses in an old folder, which has
    the same name as `artifacts` but another path, are changed to addresses in `artifacts`. If the
    old folder still exists, two signs must show that `artifacts` is its copy: `artifacts` is beside
    `database`, and has the folder of a run that `database` places in the old folder.
    """
    new, beside = artifacts.as_uri(), database.absolute().parent == artifacts.parent
    with closing(sqlite3.connect(database, timeout=MAX_WAIT)) as store, store:
        roots = {
            match[1]
            for (location,) in store.execute("select artifact_location from experiments")
            if (match := re.fullmatch(rf"(file:.*/{artifacts.name})(/\d+)?", str(location)))
        }
        for old in roots - {new}:
            folder = Path(url2pathname(urlsplit(old).path))
            if folder.exists():
                runs = store.execute(
                    "select substr(artifact_uri, ?) from runs where substr(artifact_uri, 1, ?) = ?",
                    (len(old) + 2, len(old) + 1, f"{old}/"),
                )
                copied = beside and any((artifacts / run).exists() for (run,) in runs)
                if not copied or folder.samefile(artifacts):
                    continue
            for table, column in ADDRESSES:
                store.execute(
                    f"update {table} set {column} = ? || substr({column}, ?) "
                    f"where substr({column} || '/', 1, ?) = ?",
                    (new, len(old) + 1, len(old) + 1, f"{old}/"),
                )
