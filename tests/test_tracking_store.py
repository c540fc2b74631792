"""Test an SQLite tracking store: opening it, artifacts, and closing runs of killed processes."""

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
from mlflow import MlflowClient

from pipeline.tracking.killed_runs import FOLDER, PARENT, TAG, close_killed_runs, run_lock
from pipeline.tracking.retries import retry_while_locked
from pipeline.tracking.store import open_experiment
from w2v.errors import InputError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def experiment(outputs: Path) -> tuple[MlflowClient, str]:
    """Return an MLflow client for a new tracking store, and the id of an experiment in it."""
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
    """Return the text of the artifact ``note.txt`` of a run."""
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
    run_id = client.create_run(experiment).info.run_id
    client.log_text(run_id, "kept", "note.txt")
    (outputs / "mlartifacts").mkdir()
    assert artifact_of(run_id, outputs) == "kept"


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


# Runs whose process was killed


def status(experiment: tuple[MlflowClient, str], outputs: Path, run_id: str) -> str:
    """Close the MLflow runs of killed processes, then return the status of a run."""
    close_killed_runs(*experiment, outputs)
    found: str = experiment[0].get_run(run_id).info.status
    return found


def start_run(experiment: tuple[MlflowClient, str], **tags: str) -> str:
    client, number = experiment
    run_id: str = client.create_run(number, tags=tags).info.run_id
    return run_id


@pytest.mark.long
def test_a_run_is_closed_after_its_process_was_killed(
    experiment: tuple[MlflowClient, str], outputs: Path
) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\n"
        "from pipeline.config.settings import Tracking\nfrom pipeline.tracking import track\n"
        "with track(Tracking(), Path(sys.argv[1]), 'run', {}, {}) as tracker:\n"
        "    print(tracker.run_id, flush=True)\n    time.sleep(600)\n"
    )
    command = [sys.executable, "-c", program, str(outputs)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        assert status(experiment, outputs, run_id) == "RUNNING"
        process.kill()
    assert status(experiment, outputs, run_id) == "KILLED"
    assert experiment[0].get_run(run_id).data.tags["failure"] == "its process was killed"
    assert list((outputs / FOLDER).iterdir()) == []


def test_a_run_stays_open_as_long_as_its_process_holds_the_lock(
    experiment: tuple[MlflowClient, str], outputs: Path
) -> None:
    with run_lock(outputs, {}, "1") as lock:
        run_id = start_run(experiment, **{TAG: lock.lock_file})
        assert status(experiment, outputs, run_id) == "RUNNING"
    assert status(experiment, outputs, run_id) == "KILLED"


def test_files_of_jobs_that_were_killed_before_they_were_recorded_are_deleted(
    experiment: tuple[MlflowClient, str], outputs: Path
) -> None:
    with run_lock(outputs, {}, "1") as lock:
        sweep = start_run(experiment, **{TAG: lock.lock_file})
    killed, running = (
        run_lock(outputs, {PARENT: sweep, "job": str(number)}, "2") for number in range(2)
    )
    killed.acquire()
    killed.release()
    other = run_lock(outputs, {PARENT: "other", "job": "0"}, "2")
    with running:
        with other:
            pass
        assert status(experiment, outputs, sweep) == "KILLED"
        left = {str(path) for path in (outputs / FOLDER).iterdir()}
        assert left == {running.lock_file, other.lock_file}


def test_a_run_of_another_machine_stays_open_and_no_other_file_is_touched(
    experiment: tuple[MlflowClient, str], outputs: Path
) -> None:
    other = outputs / "other.lock"
    other.write_text("content")
    for tags in ({}, {TAG: str(outputs / FOLDER / "missing.lock")}, {TAG: str(other)}):
        assert status(experiment, outputs, start_run(experiment, **tags)) == "RUNNING"
    assert other.read_text() == "content"
    assert not (outputs / FOLDER).exists()


def test_a_run_that_was_closed_after_the_search_keeps_its_status(
    experiment: tuple[MlflowClient, str], outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = experiment
    with run_lock(outputs, {}, "1") as lock:
        run_id = start_run(experiment, **{TAG: lock.lock_file})
    found = client.search_runs([experiment[1]])
    monkeypatch.setattr(client, "search_runs", lambda *_: found)
    client.set_terminated(run_id, "FINISHED")
    assert status(experiment, outputs, run_id) == "FINISHED"


def test_the_jobs_of_a_sweep_that_has_ended_are_waited_for(
    experiment: tuple[MlflowClient, str], outputs: Path
) -> None:
    client, number = experiment
    sweep = start_run(experiment)
    locked, waits = threading.Event(), threading.Event()

    def job() -> None:
        with run_lock(outputs, {}, "1") as lock:
            runs.append(start_run(experiment, **{"mlflow.parentRunId": sweep, TAG: lock.lock_file}))
            locked.set()
            waits.wait(60)

    runs: list[str] = []
    thread = threading.Thread(target=job)
    thread.start()
    locked.wait(60)
    threading.Timer(0.2, waits.set).start()
    close_killed_runs(client, number, outputs, sweep)
    thread.join()
    assert client.get_run(runs[0]).info.status == "KILLED"
