"""Opening a tracking store in SQLite, and closing the runs whose process was killed."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from filelock import FileLock
from mlflow import MlflowClient

from pipeline.tracking import killed_runs
from pipeline.tracking.killed_runs import close_killed_jobs, close_killed_runs, close_killed_sweeps
from pipeline.tracking.process import TAG, has_ended, identity_tag
from pipeline.tracking.store import open_experiment, retry_while_locked
from w2v.errors import InputError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def experiment(outputs: Path) -> tuple[MlflowClient, str]:
    """A client of a new store, and the id of an experiment in it."""
    return open_experiment(f"sqlite:///{outputs}/mlflow.db", "w2v", outputs)


# The SQLite file


@pytest.mark.long
def test_a_process_killed_while_it_makes_a_store_leaves_none(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    program = (
        "from pathlib import Path\nfrom pipeline.tracking.store import make_sqlite_store\n"
        f"make_sqlite_store(Path({str(database)!r}), Path({str(tmp_path / 'artifacts')!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) as process:
        part = tmp_path / ".mlflow.db.part"
        deadline = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size > 50_000):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert part.exists()
    assert not database.exists()
    client, experiment = open_experiment(f"sqlite:///{database}", "w2v", tmp_path)
    assert client.get_experiment(experiment).name == "w2v"
    assert not part.exists()


def artifact_of(run_id: str, outputs: Path) -> str:
    """Return the content of the artifact of a run, from the store in a folder."""
    client, _ = open_experiment(f"sqlite:///{outputs}/mlflow.db", "w2v", outputs)
    return Path(client.download_artifacts(run_id, "note.txt")).read_text()


@pytest.mark.parametrize("change", ["move", "copy", "link"])
def test_artifacts_are_found_where_the_outputs_are(
    outputs: Path, tmp_path_factory: pytest.TempPathFactory, change: str
) -> None:
    old = outputs / "a b" / "mlartifacts"
    shutil.copytree(outputs, old.parent, ignore=lambda *_: ["a b"])
    client, experiment = open_experiment(f"sqlite:///{old.parent}/mlflow.db", "w2v", old.parent)
    run_id = client.create_run(experiment).info.run_id
    client.log_text(run_id, "kept", "note.txt")
    new = tmp_path_factory.mktemp("elsewhere") / "outputs"
    if change == "link":
        new.symlink_to(old.parent)
    else:
        (shutil.move if change == "move" else shutil.copytree)(old.parent, new)
    assert artifact_of(run_id, new) == "kept"
    client = MlflowClient(f"sqlite:///{new}/mlflow.db")
    location = str(client.get_run(run_id).info.artifact_uri)
    assert Path(url2pathname(urlsplit(location).path)).is_relative_to(
        old if change == "link" else new
    )
    assert old.exists() == (change != "move")
    if change == "copy":  # each has its own
        assert artifact_of(run_id, old.parent) == "kept"


def test_artifacts_kept_away_from_the_database_stay_where_they_are(outputs: Path) -> None:
    store = f"sqlite:///{outputs}/mlflow.db"
    places = [outputs / "one", outputs / "two"]
    for place in places:
        (place / "mlartifacts").mkdir(parents=True)
    for place in places:
        client, experiment = open_experiment(store, "shared", place)
        assert client.get_experiment(experiment).artifact_location == (
            (places[0] / "mlartifacts").as_uri()
        )


@pytest.mark.long
def test_mlflow_finds_nothing_to_upgrade_in_a_new_store(outputs: Path) -> None:
    def schema() -> list[tuple[str | None]]:
        with sqlite3.connect(outputs / "mlflow.db") as database:
            assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
            return database.execute("select sql from sqlite_master order by name").fetchall()

    before = schema()
    assert len(before) > 50
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", f"sqlite:///{outputs}/mlflow.db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert schema() == before


def test_artifacts_are_stored_in_outputs(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = outputs / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    client, experiment = open_experiment(f"sqlite:///{outputs}/mlflow.db", "mine", outputs)
    expected = (outputs / "mlartifacts").as_uri()
    assert client.get_experiment(experiment).artifact_location == expected
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("content", [b"no database\n" * 1000, b"\0" * 4096])
def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    store = tmp_path / "mlflow.db"
    store.write_bytes(content)
    with pytest.raises(InputError, match=r"^tracking.uri=sqlite:.*: cannot be used \("):
        open_experiment(f"sqlite:///{store}", "w2v", tmp_path)
    assert store.read_bytes()[:11] == content[:11]


def test_a_deleted_experiment_is_refused(
    outputs: Path, experiment: tuple[MlflowClient, str]
) -> None:
    client, number = experiment
    client.delete_experiment(number)
    with pytest.raises(InputError, match=r"^tracking.experiment=w2v: is deleted; restore it"):
        open_experiment(f"sqlite:///{outputs}/mlflow.db", "w2v", outputs)


def test_a_locked_database_is_retried_until_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("create table t (x)")
    holder.execute("begin exclusive")

    def write() -> int:
        with sqlite3.connect(path, timeout=0.01) as database:
            return database.execute("insert into t values (1)").rowcount

    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        retry_while_locked(write, max_wait=0.3)
    threading.Timer(0.3, holder.close).start()
    assert retry_while_locked(write, max_wait=60) == 1
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        retry_while_locked(lambda: sqlite3.connect(path).execute("select * from u"))


# Which process a run belongs to


def identity() -> str:
    return identity_tag()[TAG]


@pytest.fixture(scope="module")
def ended() -> str:
    """The identity of a process that has ended."""
    program = "from pipeline.tracking.process import *; print(identity_tag()[TAG])"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_process_that_runs_has_not_ended(ended: str) -> None:
    assert not has_ended(identity())
    assert has_ended(ended)


def test_a_process_has_ended_only_if_that_is_certain() -> None:
    host, boot, namespace, pid, started = identity().split(" ")
    assert pid == str(os.getpid())
    free = 4194304  # above the largest process id
    assert has_ended(f"{host} {boot} {namespace} {pid} {int(started) - 1}")  # the id was reused
    assert has_ended(f"{host} {boot} {namespace} {free} {started}")
    assert has_ended(f"{host} another {namespace} {pid} {started}")  # the machine restarted
    assert not has_ended(f"elsewhere another {namespace} {free} {started}")
    assert not has_ended(f"{host} {boot} pid:[1] {free} {started}")  # in another container
    for malformed in ("", "x", "a b c d e", f"{host} {boot} {namespace} x {started}"):
        assert not has_ended(malformed)


# Runs whose process was killed


def start_run(experiment: tuple[MlflowClient, str], **tags: str) -> str:
    client, number = experiment
    run_id: str = client.create_run(number, tags=tags).info.run_id
    return run_id


def statuses(experiment: tuple[MlflowClient, str], *runs: str) -> list[str]:
    client, _ = experiment
    return [client.get_run(run).info.status for run in runs]


def test_runs_of_ended_processes_are_closed(
    experiment: tuple[MlflowClient, str], ended: str
) -> None:
    killed = start_run(experiment, **{TAG: ended})
    alive = start_run(experiment, **identity_tag())
    foreign = start_run(experiment)
    close_killed_runs(*experiment)
    assert statuses(experiment, killed, alive, foreign) == ["KILLED", "RUNNING", "RUNNING"]


def test_runs_of_killed_sweeps_and_their_jobs_are_closed(
    experiment: tuple[MlflowClient, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is closed if its folder has a lock file that no process holds."""
    monkeypatch.setattr(killed_runs, "JOB_SECONDS", 0.01)

    def sweep(name: str) -> tuple[str, str, str]:
        """Start the runs of a sweep and of its jobs 0 and 1."""
        for folder in (tmp_path / name, tmp_path / name / "0", tmp_path / name / "1"):
            folder.mkdir()
            (folder / ".lock").touch()
        parent = start_run(experiment, kind="sweep", sweep_dir=str(tmp_path / name))
        jobs = [start_run(experiment, **{"mlflow.parentRunId": parent, "job": n}) for n in "01"]
        return parent, jobs[0], jobs[1]

    mine, alive, killed = sweep("mine"), sweep("alive"), sweep("killed")
    elsewhere = start_run(experiment, kind="sweep", sweep_dir=str(tmp_path / "elsewhere"))
    client, _ = experiment
    with FileLock(tmp_path / "alive" / ".lock"), FileLock(tmp_path / "killed" / "1" / ".lock"):
        close_killed_sweeps(client, mine[0])
        assert statuses(experiment, *killed) == ["KILLED", "KILLED", "RUNNING"]
        assert statuses(experiment, *alive, *mine, elsewhere) == ["RUNNING"] * 7
    close_killed_jobs(client, killed[0])
    close_killed_jobs(client, mine[0])
    assert statuses(experiment, *killed, *mine) == [*["KILLED"] * 3, "RUNNING", *["KILLED"] * 2]
    assert client.get_run(killed[0]).data.tags["failure"] == "its process was killed"
