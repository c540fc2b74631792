"""Test what a run records with MLflow, in a real SQLite database."""

import dataclasses
import json
import multiprocessing
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import mlflow.data
import numpy as np
import pytest
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from pipeline.config.settings import Tracking
from pipeline.tracking import (
    SharedStore,
    Tracker,
    killed_runs,
    mlflow_tracker,
    reopen,
    retries,
    track,
)
from pipeline.tracking.killed_runs import PARENT, lost_jobs, run_lock, unlock
from pipeline.tracking.mlflow_tracker import MAX_NOTE, MlflowTracker, close_queue
from pipeline.tracking.provenance import git_tags
from pipeline.tracking.retries import RetryQueue
from pipeline.tracking.store import open_experiment
from w2v.errors import InputError
from w2v.training.history import Epoch, Point

ROOT = Path(__file__).parents[1]

CONFIG = Tracking()

JOB = {"mlflow.parentRunId": "1", "job": "0"}
"""Tags of a job of a sweep."""


def recorded(outputs: Path, query: str, *values: Any) -> list[Any]:
    with sqlite3.connect(outputs / "mlflow.db") as database:
        return database.execute(query, values).fetchall()


def training(points: int, epochs: int) -> tuple[list[Point], list[Epoch]]:
    """Return an invented training history: `points` measurements, and results of `epochs` epochs.

    A `Point` is measured after each shard (piece of the text), and has the loss, the learning rate,
    and the numbers of words and seconds so far. An `Epoch` has the results of one pass over the
    text. Every epoch has equally many points.
    """
    each = points // epochs
    history = [
        Point(1 + i // each, 20_000 * (i + 1), 3 / (i + 1), 0.025 / (i + 1), 0.01 * (i + 1))
        for i in range(points)
    ]
    ends = [
        Epoch(number, 3 / number, None, 0.025, 20_000 * each, 10 * each, 0.01 * each)
        for number in range(1, epochs + 1)
    ]
    return history, ends


# Metrics


def test_a_long_history_is_sent_in_few_batches(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    log_batch: Any = SqlAlchemyStore.log_batch

    def counted(store: Any, run_id: str, **batch: Any) -> Any:
        sizes.append(sum(map(len, batch.values())))
        return log_batch(store, run_id, **batch)

    monkeypatch.setattr(SqlAlchemyStore, "log_batch", counted)
    points, epochs = training(3_000, 5)
    with track(CONFIG, outputs, "long", {"model.dim": 100}, {}) as tracker:
        tracker.tag({"stage.train": "0" * 16})
        tracker.history(points, epochs)
    assert sum(sizes) == 2 * 3_000 + 2 * 5 + 2
    assert len(sizes) < 2 * 6_010 / 900
    query = "select step, value from metrics where key = ? order by step"
    assert recorded(outputs, query, "train/loss") == [(p.words, p.loss) for p in points]
    assert recorded(outputs, query, "train/lr") == [(p.words, p.lr) for p in points]
    ends = [(12_000_000 * epoch.epoch, epoch.loss) for epoch in epochs]
    assert recorded(outputs, query, "epoch/loss") == ends
    assert recorded(outputs, query, "epoch/heldout_loss") == []


@pytest.mark.parametrize("interrupted", [False, True])
def test_the_scores_of_a_run_are_those_of_the_vectors_that_are_kept(
    outputs: Path, interrupted: bool
) -> None:
    points, epochs = training(30, 3)
    scores = [{"similarity/mine/spearman": value} for value in (0.3, 0.5, 0.4)]
    for number, found in enumerate(scores):
        epochs[number] = dataclasses.replace(epochs[number], scores=found)
    with track(CONFIG, outputs, "kept", {}, {}) as tracker:
        # A training that is continued within its last epoch has points of this epoch already.
        begun = 2 if interrupted else 3
        tracker.history(points[:29] if interrupted else points, epochs[:begun])
        for end in epochs[begun:]:
            tracker.epoch(end, end.words * end.epoch)
        tracker.scores({"similarity/mine/spearman": 0.3}, epochs[-1].words * 3)
    latest = "select value from latest_metrics where key = ?"
    assert recorded(outputs, latest, "similarity/mine/spearman") == [(0.3,)]


def test_a_training_from_the_cache_has_the_metrics_of_a_new_one(outputs: Path) -> None:
    points, epochs = training(30, 3)
    with track(CONFIG, outputs, "new", {}, {}) as tracker:
        for point in points:
            tracker.point(point)
            if point.words % 200_000 == 0:
                epoch = epochs[point.epoch - 1]
                tracker.epoch(epoch, epoch.words * epoch.epoch)
    with track(CONFIG, outputs, "cached", {}, {}) as tracker:
        tracker.history(points, epochs)
    query = (
        "select key, step, value, timestamp from metrics join runs using (run_uuid) "
        "where name = ? order by key, step"
    )
    new, cached = recorded(outputs, query, "new"), recorded(outputs, query, "cached")
    assert [row[:3] for row in new] == [row[:3] for row in cached]
    assert len(new) == 2 * 30 + 2 * 3
    for rows in (new, cached):  # times are those of training, to the millisecond
        first = min(row[3] for row in rows)
        for key, step, _, when in rows:
            assert when - first == pytest.approx(step / 20_000 * 10 - 10, abs=1.01), key


def transactions(outputs: Path) -> int:
    """Return how many transactions have changed the MLflow database."""
    return int.from_bytes((outputs / "mlflow.db").read_bytes()[24:28], "big")


def test_what_a_short_run_records_is_one_transaction(outputs: Path, tmp_path: Path) -> None:
    csv = tmp_path / "n.csv"
    csv.write_text("word,neighbour\na,b\n")
    points, epochs = training(30, 3)
    open_experiment(f"sqlite:///{outputs.absolute()}/mlflow.db", "w2v", outputs)
    begun = transactions(outputs)
    with track(CONFIG, outputs, "run", {"model.dim": 100}, JOB) as tracker:
        tracker.history(points, epochs)
        tracker.dataset("sst", "0123456789abcdef", "text.txt", {"documents": 7})
        tracker.tag({"stage.train": "k"})
        tracker.table(csv, "tables/n.json")
        tracker.note("# A run")
    assert transactions(outputs) == begun + 1
    assert recorded(outputs, "select count(*) from metrics") == [(66,)]
    assert recorded(outputs, "select name, status from runs") == [("run", "FINISHED")]
    client = MlflowClient(f"sqlite:///{outputs.absolute()}/mlflow.db")
    assert tracker.run_id is not None
    run: Any = client.get_run(tracker.run_id)
    tags = {"stage.train": "k", **JOB, "mlflow.note.content": "# A run"}
    assert tags.items() <= run.data.tags.items()
    assert run.data.params == {"model.dim": "100"}
    assert client.download_artifacts(tracker.run_id, "tables/n.json")
    assert not list((outputs / ".running").iterdir())


def test_a_job_that_takes_longer_is_shown_while_it_runs(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_tracker, "FLUSH_SECONDS", 0.01)
    open_experiment(f"sqlite:///{outputs.absolute()}/mlflow.db", "w2v", outputs)
    query = "select status from runs"

    def fail() -> None:
        with track(CONFIG, outputs, "run", {}, JOB):
            deadline = time.monotonic() + 60
            while recorded(outputs, query) != [("RUNNING",)]:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert recorded(outputs, query) == [("FAILED",)]


def waits_for(freed: Any) -> Any:
    """Return a function that waits for the event `freed`, at most 60 s, then calls `log_batch`.

    `log_batch` is the method by which MLflow's store saves metrics, parameters and tags.
    """
    log_batch: Any = SqlAlchemyStore.log_batch

    def slow(store: Any, run_id: str, *batch: Any, **more: Any) -> Any:
        freed.wait(60)
        return log_batch(store, run_id, *batch, **more)

    return slow


def test_jobs_of_a_sweep_do_not_wait_for_their_records(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed = threading.Event()
    monkeypatch.setattr(SqlAlchemyStore, "log_batch", waits_for(freed))
    jobs = []
    shared = SharedStore()
    with track(CONFIG, outputs, "sweep", {}, {"kind": "sweep"}, shared) as sweep:
        assert sweep.run_id is not None
        for number in range(3):
            tags = {"mlflow.parentRunId": sweep.run_id, "job": str(number)}
            with track(CONFIG, outputs, str(number), {"seed": number}, tags, shared) as tracker:
                tracker.scores({"a": 1.0}, 1)
            jobs.append(tracker.run_id)
        assert recorded(outputs, "select name from runs") == [("sweep",)]
        freed.set()
        sweep.wait()
        with reopen(CONFIG, outputs, jobs[-1]) as tracker:
            assert tracker.run_id == jobs[-1]
    assert recorded(outputs, "select status, count(*) from runs group by 1") == [("FINISHED", 4)]
    assert recorded(outputs, "select run_uuid from params order by value") == [
        (job,) for job in jobs
    ]


@pytest.mark.parametrize("recorded_at_last", [True, False])
def test_a_report_waits_for_the_run_of_its_job(
    outputs: Path,
    tmp_path: Path,
    recorded_at_last: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    freed = threading.Event()
    monkeypatch.setattr(SqlAlchemyStore, "log_batch", waits_for(freed))
    monkeypatch.setattr(retries, "MAX_WAIT", 60.0 * recorded_at_last)
    (tmp_path / "report.html").touch()
    shared = SharedStore()
    with track(CONFIG, outputs, "sweep", {}, {"kind": "sweep"}, shared) as sweep:
        tags = {"mlflow.parentRunId": str(sweep.run_id), "job": "0"}
        with track(CONFIG, outputs, "0", {"seed": 0}, tags, shared) as job:
            pass
        monkeypatch.setattr(killed_runs, "sleep", lambda _: freed.set())
        with reopen(CONFIG, outputs, job.run_id) as tracker:
            tracker.files([tmp_path / "report.html"], "")
        freed.set()
    found = list(outputs.glob(f"mlartifacts/**/{job.run_id}/artifacts/report.html"))
    assert len(found) == recorded_at_last
    assert (f"nothing is added to run {job.run_id}" in capsys.readouterr().err) != recorded_at_last


def record_slowly(outputs: Path, sweep: str, sent: bytes, freed: Any, ended: Any) -> None:
    """Record two jobs of a sweep with MLflow, which saves nothing before the event `freed` is set.

    The event `ended` is set when both jobs have ended, even if nothing has been saved by then. A
    test runs this function in a worker process.

    Parameters
    ----------
    outputs
        The folder with the MLflow database.
    sweep
        The id of the sweep's MLflow run.
    sent
        A pickled `SharedStore`, the object through which the jobs of a sweep share a connection to
        MLflow. An unpickled copy has no connection yet.
    """
    setattr(SqlAlchemyStore, "log_batch", waits_for(freed))  # noqa: B010
    for number in ("0", "1"):
        tags = {"mlflow.parentRunId": sweep, "job": number}
        shared = pickle.loads(sent)
        with track(CONFIG, outputs, number, {"seed": number}, tags, shared):
            pass
    ended.set()


@pytest.mark.parametrize("killed", [False, True])
def test_a_job_that_ends_meanwhile_is_not_lost(outputs: Path, killed: bool) -> None:
    lock = run_lock(outputs, {PARENT: "sweep", "job": "3"}, "run")
    with ThreadPoolExecutor() as pool, lock:
        lost = pool.submit(lost_jobs, outputs, "sweep")
        assert not wait([lost], timeout=0.2).done
        lock.release(force=True) if killed else unlock(lock)
        assert list(lost.result()) == [3] * killed
    assert (lost_jobs(outputs, "sweep") != {}) == killed


def test_a_job_that_ends_while_its_lock_is_tried_is_not_lost(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = run_lock(outputs, {PARENT: "sweep", "job": "3"}, "run")
    lock.acquire()

    class JustBefore(FileLock):
        def acquire(self, *arguments: Any, **options: Any) -> Any:
            unlock(lock)
            return super().acquire(*arguments, **options)

    monkeypatch.setattr(killed_runs, "FileLock", JustBefore)
    assert lost_jobs(outputs, "sweep") == {}
    assert not Path(lock.lock_file).exists()


@pytest.mark.long
@pytest.mark.parametrize("killed", [False, True])
def test_jobs_of_a_worker_process_do_not_wait_for_their_records(
    outputs: Path, killed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    context = multiprocessing.get_context("spawn")
    freed, ended = context.Event(), context.Event()
    shared = SharedStore()
    with track(CONFIG, outputs, "sweep", {}, {"kind": "sweep"}, shared) as sweep:
        assert sweep.run_id is not None
        given = outputs, sweep.run_id, pickle.dumps(shared), freed, ended
        worker = context.Process(target=record_slowly, args=given)
        worker.start()
        assert ended.wait(60)
        assert recorded(outputs, "select name from runs") == [("sweep",)]
        if killed:
            worker.kill()
        else:
            freed.set()
        worker.join()
        assert sorted(lost_jobs(outputs, sweep.run_id)) == ([0, 1] if killed else [])
        sweep.close_killed_jobs()
    names = [] if killed else ["0", "1"]
    assert recorded(outputs, "select name, status from runs order by name") == [
        (name, "FINISHED") for name in (*names, "sweep")
    ]
    assert not list((outputs / ".running").iterdir())
    warning = "did not take all of this run (killed before they were recorded: jobs 0, 1)"
    assert (warning in capsys.readouterr().err) == killed


def test_metrics_that_are_stored_already_do_not_cost_what_comes_with_them(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, experiment = open_experiment(f"sqlite:///{outputs}/mlflow.db", "w2v", outputs)
    tracker = MlflowTracker(client, client.create_run(experiment))
    monkeypatch.setattr("time.time", lambda: 1.0)
    tracker.scores({"a": 1.0, "b": 2.0}, 10)
    tracker.flush()
    tracker.dataset("sst", "0123456789abcdef", "text.txt", {"documents": 7})
    tracker.scores({"b": 2.0, "c": 3.0}, 10)  # as after a call whose answer was lost
    tracker.tag({"kind": "sweep"})
    tracker.flush(status="FINISHED")
    assert recorded(outputs, "select key, value from metrics order by key") == [
        *(("a", 1.0), ("b", 2.0), ("c", 3.0))
    ]
    assert recorded(outputs, "select value from tags where key = 'kind'") == [("sweep",)]
    assert recorded(outputs, "select count(*) from inputs") == [(1,)]
    assert recorded(outputs, "select status from runs") == [("FINISHED",)]


def test_metrics_are_recorded_once_although_some_calls_fail(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_tracker, "FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(retries, "RETRY_PAUSES", (0.0,))
    points, epochs = training(6, 2)
    attempts: list[str] = []
    log_batch: Any = SqlAlchemyStore.log_batch

    def unreliable(store: Any, run_id: str, **batch: Any) -> Any:
        attempts.append(run_id)
        if len(attempts) % 2 == 0:
            raise MlflowException("database is locked")
        return log_batch(store, run_id, **batch)

    with track(CONFIG, outputs, "run", {"model.dim": 100}, {}) as tracker:
        monkeypatch.setattr(SqlAlchemyStore, "log_batch", unreliable)
        tracker.history(points[:3], epochs[:1])
        for point in points[3:]:
            tracker.point(point)
        tracker.epoch(epochs[1], 120_000)
    assert len(attempts) > 4
    query = "select step, value from metrics where key = ? order by step"
    assert recorded(outputs, query, "train/loss") == [(p.words, p.loss) for p in points]
    assert recorded(outputs, query, "epoch/loss") == [(60_000, 3.0), (120_000, 1.5)]


@pytest.mark.parametrize(
    ("error", "status", "failure"),
    [
        (KeyError("x"), "FAILED", "KeyError: 'x'"),
        (ValueError("a\nb " * 1000), "FAILED", f"ValueError: {'a b ' * 1000}"[:500]),
        (KeyboardInterrupt(), "KILLED", None),
    ],
)
def test_a_run_that_ends_in_an_error_keeps_its_tags(
    outputs: Path, error: BaseException, status: str, failure: str | None
) -> None:
    def fail() -> None:
        with track(CONFIG, outputs, "failed", {}, {"loss": "softmax"}) as tracker:
            tracker.tag({"stage.tokenize": "1" * 16})
            raise error

    with pytest.raises(type(error)):
        fail()
    tags = dict(recorded(outputs, "select key, value from tags"))
    assert tags["stage.tokenize"] == "1" * 16
    assert tags["loss"] == "softmax"
    assert tags.get("failure") == failure
    assert recorded(outputs, "select status from runs") == [(status,)]


def test_tracking_none_records_nothing(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, name="none")
    with track(config, tmp_path / "outputs", "run", {}, {}) as tracker:
        assert type(tracker) is Tracker
        tracker.scores({"accuracy": 1.0}, 0)
        assert tracker.run_id is None
    assert list(tmp_path.iterdir()) == []


# Where a run comes from


def test_tags_name_the_software_but_not_the_host(outputs: Path) -> None:
    with track(CONFIG, outputs, "tagged", {}, {}):
        pass
    tags = dict(recorded(outputs, "select key, value from tags"))
    assert tags["environment.python"] == ".".join(map(str, sys.version_info[:3]))
    assert tags["environment.numpy"] == np.__version__
    assert tags["environment.mlflow"] == mlflow.__version__
    assert tags["mlflow.source.name"] == "pipeline/run.py"
    assert os.uname().nodename not in " ".join(tags.values()).split()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_of_a_checkout_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.invalid")
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert git_tags(tmp_path) == {}
    git("init", "-q")
    assert git_tags(tmp_path) == {}  # no commit yet
    (tmp_path / "file").write_text("one")
    (tmp_path / "below").mkdir()
    git("add", ".")
    git("commit", "-qm", "one")
    commit = git("rev-parse", "HEAD")
    clean = {"mlflow.source.git.commit": commit, "git.changed": "false"}
    assert git_tags(tmp_path) == clean
    assert git_tags(tmp_path / "below") == {}
    (tmp_path / "new").write_text("not added")
    assert git_tags(tmp_path) == clean
    (tmp_path / "file").write_text("two")
    assert git_tags(tmp_path) == {**clean, "git.changed": "true"}
    monkeypatch.setenv("PATH", "")
    assert git_tags(tmp_path) == {}


def test_telemetry_is_off() -> None:
    program = (
        "import pipeline.tracking.store, mlflow.telemetry\n"
        "print(mlflow.telemetry.get_telemetry_client())"
    )
    environment = {key: value for key, value in os.environ.items() if "TELEMETRY" not in key}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "None\n"


# The text and the tables


@pytest.mark.parametrize(
    ("origin", "kind", "source"),
    [
        ("http://example.invalid/a.zip", "http", {"url": "http://example.invalid/a.zip"}),
        ("text.txt", "local", {"uri": "text.txt"}),
        ("s3://bucket/text.gz", "s3", {"uri": "s3://bucket/text.gz"}),
        (["numpy", "scipy"], "code", {"tags": {"sources": "numpy, scipy"}}),
        (["ü" * 70_000, "b.txt"], "code", {"tags": {"sources": "ü" * MAX_NOTE}}),
    ],
)
def test_the_text_is_recorded_as_a_dataset_that_mlflow_can_read(
    outputs: Path, origin: Any, kind: str, source: dict[str, Any]
) -> None:
    with track(CONFIG, outputs, "read", {}, {}) as tracker:
        tracker.dataset("sst", "0123456789abcdef", origin, {"documents": 7})
    client = MlflowClient(f"sqlite:///{outputs}/mlflow.db")
    assert tracker.run_id is not None
    inputs: Any = client.get_run(tracker.run_id).inputs
    (found,) = inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.digest) == ("sst", "0123456789abcdef")
    assert json.loads(found.dataset.profile) == {"documents": 7}
    assert [(tag.key, tag.value) for tag in found.tags] == [("mlflow.data.context", "training")]
    read = mlflow.data.get_source(found.dataset)
    assert (read._get_source_type(), read.to_dict()) == (kind, source)


def test_jobs_record_the_same_text_at_the_same_time(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "RETRY_PAUSES", (0.01,))
    store = f"sqlite:///{outputs}/mlflow.db"
    _, experiment = open_experiment(store, "w2v", outputs)
    jobs, texts = 6, 15
    together = threading.Barrier(jobs)

    def job(number: int) -> str:
        client = MlflowClient(store)
        tracker = MlflowTracker(client, client.create_run(experiment))
        for text in range(texts):
            calls = RetryQueue(store)
            together.wait(60)
            calls.put(tracker.dataset, "sst", f"{text:016}", "text.txt", {"documents": number})
            calls.put(tracker.flush)
            assert calls.close() == ""
        return tracker.run_id

    with ThreadPoolExecutor(jobs) as pool:
        runs = list(pool.map(job, range(jobs)))
    client = MlflowClient(store)
    for run in runs:
        inputs: Any = client.get_run(run).inputs
        found = {one.dataset.digest for one in inputs.dataset_inputs}
        assert found == {f"{text:016}" for text in range(texts)}
    assert recorded(outputs, "select count(*) from datasets") == [(texts,)]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_run_that_is_interrupted_at_its_end_is_recorded(
    stop: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "RETRY_PAUSES", (0.01,))
    interrupted, failing = threading.Event(), threading.Event()
    recorded: list[str] = []

    class Interrupted(RetryQueue):
        def close(self, max_wait: float = retries.MAX_WAIT) -> str:
            if not interrupted.is_set():
                interrupted.set()
                raise stop
            return super().close(max_wait)

    def fail() -> None:
        failing.set()
        raise OSError(111, "Connection refused")

    calls = Interrupted("the store")
    calls.put(interrupted.wait, 60)
    calls.put(recorded.append, "the run has ended")
    with pytest.raises(stop):
        close_queue(calls)
    assert recorded == ["the run has ended"]

    interrupted.clear()
    calls = Interrupted("the store")
    calls.put(fail)  # forever: no more time is spent on it
    assert failing.wait(60)
    with pytest.raises(stop):
        close_queue(calls)
    assert calls.stopped.is_set()


@pytest.mark.parametrize("words", ["null nan b a", "007 1990 1e5 7"])
def test_a_table_lists_the_neighbours_of_a_word_in_one_cell(
    words: str, outputs: Path, tmp_path: Path
) -> None:
    one, two, three, four = words.split()
    csv = tmp_path / "neighbours.csv"
    csv.write_text(f"word,rank,neighbour\n{one},1,{two}\n{one},2,{three}\n{four},1,{one}\n")
    with track(CONFIG, outputs, "table", {}, {}) as tracker:
        tracker.table(csv, "tables/n.json", ("word", "neighbour"))
    (path,) = outputs.glob("mlartifacts/*/artifacts/tables/n.json")
    table = json.loads(path.read_bytes())
    assert table["columns"] == ["word", "neighbour"]
    assert table["data"] == [[one, f"{two}, {three}"], [four, one]]


# System metrics


def test_system_metrics_are_recorded_on_request(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_tracker, "SYSTEM_SECONDS", 0.1)
    with track(dataclasses.replace(CONFIG, system_metrics=True), outputs, "watched", {}, {}):
        deadline = time.monotonic() + 60
        query = "select value from metrics where key = 'system/cpu_utilization_percentage'"
        while not recorded(outputs, query) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert recorded(outputs, query)
    assert recorded(outputs, "select status from runs") == [("FINISHED",)]


def test_system_metrics_without_psutil_are_refused_before_a_run_starts(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    config = dataclasses.replace(CONFIG, system_metrics=True)
    with (
        pytest.raises(InputError, match=r"^tracking.system_metrics=true: needs psutil; pip"),
        track(config, outputs, "watched", {}, {}),
    ):
        pass
    assert recorded(outputs, "select * from runs") == []
