"""Test whole sweeps: with several launchers, with searches, and with killed processes."""

import json
import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.commands import Done, query, run, run_process, start, write_text
from w2v.errors import InputError
from w2v.training.memory import available_cores

SMALL = (
    *("-m", "corpus=files", "corpus.path=text.txt", "vocab.min_count=1", "model.dim=4"),
    *("train.epochs=1", "train.heldout=0.1", "engine=numpy"),
    "stages=[tokenize,vocab,train]",
)
CHAMPION = (
    "select v.run_id from registered_model_aliases a join model_versions v "
    "on v.name = a.name and v.version = a.version where a.alias = 'champion'"
)
"""The SQL query for the run of the model that has the alias ``champion``."""

SPACE = "hydra.sweeper.params={train.lr: 'interval(0.01,0.5)'}"


def summary_of(done: Done, cwd: Path, status: int = 0) -> dict[str, Any]:
    """Check the exit status of a sweep, and return the content of its ``summary.json``.

    `done` is the command that has ended, and `status` the status it must have. The summary is that
    of the newest sweep in `cwd`.
    """
    assert done.returncode == status, done.stdout + done.stderr
    path = sorted(cwd.glob("outputs/sweeps/*/*/summary.json"))[-1]
    summary: dict[str, Any] = json.loads(path.read_bytes())
    return summary


def sweep(*arguments: str, cwd: Path, status: int = 0) -> dict[str, Any]:
    """Run a sweep in this process; return the content of its ``summary.json``, and its output.

    The output is added to the summary under the keys "stdout" and "stderr". `status` is the exit
    status that the sweep must have.
    """
    done = run(*SMALL, *arguments, cwd=cwd)
    return summary_of(done, cwd, status) | {"stdout": done.stdout, "stderr": done.stderr}


def sweep_process(*arguments: str, cwd: Path, status: int = 0) -> dict[str, Any]:
    """Run a sweep in a new process, and return the content of its ``summary.json``.

    The new process is for launchers that start processes themselves, such as joblib. `status` is
    the exit status that the sweep must have.
    """
    return summary_of(run_process(*SMALL, *arguments, cwd=cwd), cwd, status)


def statuses(cwd: Path) -> dict[str, int]:
    """Return the number of MLflow runs of each status, by the status."""
    return dict(query(cwd, "select status, count(*) from runs group by status"))


def train_entries(cwd: Path) -> dict[str, int]:
    """Return the modification time in ns of each training result in the cache, by its key."""
    return {
        path.parent.name: path.stat().st_mtime_ns
        for path in cwd.glob("outputs/cache/train/[0-9a-f]*/manifest.json")
    }


@pytest.fixture
def here(tmp_path: Path, made_store: None) -> Path:
    return write_text(tmp_path)


def test_a_sweep_is_tracked_and_the_same_again_trains_nothing(here: Path) -> None:
    arguments = ("loss=negsample,softmax", "loss.negatives=3", "seed=range(2)")
    made = sweep(*arguments, cwd=here)
    assert made["counts"] == {"finished": 4}
    assert made["trained"] == 4
    assert "loss.negatives is left out where loss=softmax" in made["stdout"]
    assert made["stderr"] == ""
    assert made["axes"] == ["loss", "seed"]
    assert made["compared_within"][0] == "loss"
    assert (here / made["sweep_dir"] / "multirun.yaml").is_file()
    parent = made["mlflow_run_id"]
    children = query(here, "select run_uuid, value from tags where key = 'mlflow.parentRunId'")
    assert dict(children) == {row["run_id"]: parent for row in made["jobs"]}
    names = {name for (name,) in query(here, "select name from runs")}
    assert {"loss=softmax seed=1", "loss=negsample seed=0"} <= names
    ((first,),) = query(here, f"select start_time from runs where run_uuid = '{parent}'")
    assert all(start >= first for (start,) in query(here, "select start_time from runs"))
    artifacts = next((here / "outputs" / "mlartifacts").rglob(parent)) / "artifacts"
    for name in (
        *("summary.json", "tables/jobs.csv", "tables/jobs.parquet", "tables/jobs.json"),
        *("plots/parallel.png", "plots/effects.png", "tables/configurations.json"),
    ):
        assert (artifacts / name).stat().st_size > 0
    assert len(list(here.glob("outputs/cache/tokenize/[0-9a-f]*"))) == 1
    entries = train_entries(here)

    again = sweep(*arguments, cwd=here)
    assert again["trained"] == 0
    assert train_entries(here) == entries
    assert again["configurations"] == made["configurations"]
    assert statuses(here) == {"FINISHED": 10}


def test_bootstraps_share_the_tokens_and_the_vocabulary(here: Path) -> None:
    made = sweep("train.bootstrap=false,true", "seed=range(2)", "tracking=none", cwd=here)
    assert made["counts"] == {"finished": 4}
    assert made["axes"] == ["train.bootstrap", "seed"]
    assert made["compared_within"] == []  # the held-out documents are the same
    for stage, entries in {"tokenize": 1, "vocab": 1, "train": 4}.items():
        assert len(list(here.glob(f"outputs/cache/{stage}/[0-9a-f]*"))) == entries


def test_numbers_in_quotes_are_numbers(here: Path) -> None:
    made = sweep("model.dim='8','9'", "tracking=none", cwd=here)
    assert [row["model.dim"] for row in made["jobs"]] == ["8", "9"]
    assert json.loads((here / made["sweep_dir"] / "sweep.json").read_bytes())["dims"] == [8, 9]


def test_a_job_that_fails_stops_no_other_job(here: Path) -> None:
    made = sweep("vocab.min_count=1,1000,2", cwd=here, status=2)
    assert made["counts"] == {"finished": 2, "refused": 1}
    (failed,) = [row for row in made["jobs"] if row["status"] == "refused"]
    assert failed["vocab.min_count"] == "1000"
    assert failed["reason"].startswith("vocab.min_count=1000: must be a count that leaves")
    assert made["stderr"] == f"error: job 1 (vocab.min_count=1000): {failed['reason']}\n"
    assert statuses(here) == {"FINISHED": 2, "FAILED": 2}
    reasons = dict(query(here, "select run_uuid, value from tags where key = 'failure'"))
    assert "1 of 3 jobs did not finish" in reasons.pop(made["mlflow_run_id"])
    assert failed["reason"] in reasons.popitem()[1]
    assert not reasons


def test_jobs_that_fail_after_their_training_have_trained(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise InputError("no disk")

    monkeypatch.setattr("pipeline.stages.train.Train.record", fail)
    for trained in (2, 0):  # the second time, the trainings are in the cache
        made = sweep("seed=0,1", "tracking=none", cwd=here, status=2)
        assert (made["counts"], made["trained"]) == ({"refused": 2}, trained)
        assert f"2 refused; {trained} trained now" in made["stdout"]


@pytest.mark.long
@pytest.mark.parametrize("launcher", ["joblib", "slurm_local"])
def test_a_launcher_with_processes(here: Path, launcher: str) -> None:
    arguments = (f"hydra/launcher={launcher}", "vocab.min_count=1,1000")
    made = sweep_process(*arguments, cwd=here, status=2)
    assert made["counts"] == {"finished": 1, "refused": 1}
    assert statuses(here) == {"FINISHED": 1, "FAILED": 2}


@pytest.mark.long
def test_parallel_jobs_on_a_fresh_store(here: Path, sweeps_in_a_row: int) -> None:
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    for number in range(sweeps_in_a_row):
        cwd = here / str(number)
        cwd.mkdir()
        write_text(cwd)
        made = sweep_process(*launcher, "train.lr=0.1,0.2", "seed=range(3)", cwd=cwd)
        assert made["counts"] == {"finished": 6}
        assert statuses(cwd) == {"FINISHED": 7}
        assert len(train_entries(cwd)) == 6
        ((metrics,),) = query(cwd, "select count(*) from metrics where key = 'epoch/heldout_loss'")
        assert metrics == 6
        assert len(list(cwd.glob("outputs/cache/tokenize/[0-9a-f]*"))) == 1
        threads = [
            json.loads(path.read_bytes())["train"]["threads"]
            for path in cwd.glob("outputs/sweeps/*/*/*/summary.json")
        ]
        assert threads == [max(1, available_cores() // 2)] * 6


def test_the_slurm_settings_compose(here: Path) -> None:
    settings = ("hydra/launcher=slurm", "hydra.launcher.partition=long", "--cfg", "hydra")
    done = run(*settings, cwd=here)
    assert done.returncode == 0, done.stderr
    assert "partition: long" in done.stdout
    assert "SlurmLauncher" in done.stdout


@pytest.mark.long
def test_a_planned_experiment_with_a_plan_of_the_command_line(here: Path) -> None:
    made = sweep(
        "experiment=losses_windows_negatives",
        "hydra.sweeper.params={loss: 'negsample,softmax', model.window: '2,3', "
        "loss.negatives: '2,3', seed: 'range(1)'}",
        "search.objective=loss",
        "tracking=none",
        cwd=here,
    )
    assert made["counts"] == {"finished": 6}
    assert made["axes"] == ["loss", "model.window", "loss.negatives"]


@pytest.mark.long
def test_the_best_job_gets_the_alias(here: Path) -> None:
    made = sweep(
        *("train.epochs=8,1", "seed=0,1", "tracking.model=true"),
        "tracking.register=words@champion",
        cwd=here,
    )
    best = min((row["heldout_loss"], row["job"]) for row in made["jobs"][:2])[1]
    assert made["best_jobs"] == [best]
    parent = made["mlflow_run_id"]
    tag = query(here, f"select value from tags where run_uuid = '{parent}' and key = 'best'")
    assert tag == [(f"job {best}",)]
    assert query(here, CHAMPION) == [(made["jobs"][best]["run_id"],)]


@pytest.mark.long
def test_an_earlier_sweep_in_the_folder_is_moved(here: Path) -> None:
    arguments = (*SMALL, "hydra.sweep.dir=here", "tracking=none")
    first = run(*arguments, "seed=0,1", "vocab.min_count=1000000", cwd=here)
    assert first.returncode == 2
    second = run(*arguments, "seed=0", cwd=here)
    assert second.returncode == 0, second.stderr
    assert json.loads((here / "here" / "summary.json").read_bytes())["counts"] == {"finished": 1}
    (earlier,) = here.glob("here.before-*")
    assert json.loads((earlier / "summary.json").read_bytes())["counts"] == {"refused": 2}
    with FileLock(here / "here" / ".lock"):
        third = run(*arguments, "seed=0", cwd=here)
    line = "error: hydra.sweep.dir=here: a sweep that runs has this folder; name another\n"
    assert (third.returncode, third.stderr) == (2, line)


# Searches


@pytest.mark.long
def test_a_search_resumes_and_ends(here: Path) -> None:
    search = ("search=optuna", SPACE, "tracking=none")
    first = sweep(*search, "hydra.sweeper.n_trials=3", cwd=here)
    assert first["counts"] == {"finished": 3}
    assert len({row["train.lr"] for row in first["jobs"]}) == 3
    again = sweep(*search, "hydra.sweeper.n_trials=3", cwd=here)
    assert again["jobs"] == []
    assert "of the whole study: train.lr=" in again["stdout"]
    with sqlite3.connect(here / "outputs" / "optuna.db") as database:
        # The state in which a search leaves a trial when its process is killed.
        database.execute(
            "update trials set state = 'RUNNING', datetime_complete = null where number = 2"
        )
    more = sweep(*search, "hydra.sweeper.n_trials=4", cwd=here)
    assert more["counts"] == {"finished": 2}
    assert more["trained"] == 1, "the killed trial is tried again, from the cache"
    write_text(here, repeats=31)
    changed = sweep(*search, "hydra.sweeper.n_trials=1", cwd=here)
    assert changed["trained"] == 1, "another text is another study"


@pytest.mark.long
def test_the_best_job_of_all_sessions_of_a_search_has_the_alias(here: Path) -> None:
    search = ("search=optuna", SPACE, "tracking.model=true", "tracking.register=words@champion")
    found: list[tuple[float, str]] = []
    for trials in (1, 3, 5):
        made = sweep(*search, f"hydra.sweeper.n_trials={trials}", cwd=here)
        assert made["earlier_best"] == (min(found)[0] if found else None)
        found += [(row["heldout_loss"], row["run_id"]) for row in made["jobs"]]
        assert query(here, CHAMPION) == [(min(found)[1],)]
    assert found[1] > found[0] > min(found), "of the later sessions, one was worse, one better"
    with sqlite3.connect(here / "outputs" / "mlflow.db") as database:
        # As if the earlier sessions had been killed, or had recorded no models.
        database.execute("delete from registered_model_aliases")
    made = sweep(*search, "hydra.sweeper.n_trials=6", cwd=here)
    (last,) = made["jobs"]
    assert last["heldout_loss"] > min(found)[0]
    assert query(here, CHAMPION) == [(last["run_id"],)]


@pytest.mark.long
def test_a_tracked_search_with_joblib(here: Path) -> None:
    search = ("search=optuna", SPACE, "hydra/launcher=joblib", "hydra.sweeper.n_trials=3")
    made = sweep_process(*search, cwd=here)
    assert made["counts"] == {"finished": 3}
    assert statuses(here) == {"FINISHED": 4}


@pytest.mark.long
def test_fixed_settings_of_an_experiment_are_part_of_a_study(here: Path) -> None:
    (here / "conf" / "experiment").mkdir(parents=True)
    arguments = ["--config-dir", "conf", *(text for text in SMALL if "epochs" not in text)]
    arguments += ["search=optuna", "experiment=p", "tracking=none"]
    for epochs in (1, 2):
        (here / "conf" / "experiment" / "p.yaml").write_text(
            "# @package _global_\n"
            "hydra: {sweeper: {params: {train.epochs: "
            f"{epochs}, train.lr: 'choice(0.1,0.2)'}}}}}}\n"
        )
        done = run(*arguments, "hydra.sweeper.n_trials=1", cwd=here)
        assert summary_of(done, here)["trained"] == 1


# Killed processes


def wait_for(cwd: Path, pattern: str, count: int, process: "subprocess.Popen[str]") -> None:
    """Wait until at least `count` files match a pattern; fail if `process` ends before."""
    while len(list(cwd.glob(pattern))) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def children_of(pid: int) -> list[int]:
    """Return the ids of all descendants of a process (only on Linux)."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found += [child, *children_of(child)]
    return found


def is_worker(pid: int) -> bool:
    """Return whether a process was forked by a fork server, as joblib's worker processes are."""
    try:
        parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        lines = [Path(f"/proc/{one}/cmdline").read_text() for one in (pid, parent)]
    except OSError:
        return False
    return all("multiprocessing.forkserver" in line for line in lines)


SLOW = ("train.epochs=300", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=range(4)")


@pytest.mark.long
def test_a_sweep_outlives_a_worker_that_is_killed(here: Path) -> None:
    with start(*SMALL, *SLOW, cwd=here) as process:
        wait_for(here, "outputs/sweeps/*/*/*/summary.json", 1, process)
        wait_for(here, "outputs/cache/train/.*.part", 1, process)
        worker = next(pid for pid in children_of(process.pid) if is_worker(pid))
        os.kill(worker, signal.SIGKILL)
        out, err = process.communicate(timeout=300)
    made = summary_of(Done(process.returncode, out, err), here)
    assert made["counts"] == {"finished": 4}
    ended = statuses(here)
    assert ended["FINISHED"] == 5
    assert set(ended) <= {"FINISHED", "KILLED"}
    assert len(train_entries(here)) == 4


@pytest.mark.long
def test_the_same_command_completes_a_sweep_that_was_killed(here: Path) -> None:
    with start(*SMALL, *SLOW, cwd=here) as process:
        wait_for(here, "outputs/sweeps/*/*/*/summary.json", 2, process)
        workers = [pid for pid in children_of(process.pid) if is_worker(pid)]
        process.kill()
        process.wait(timeout=60)
    deadline = time.monotonic() + 60
    while any(map(is_worker, workers)):
        assert time.monotonic() < deadline, "the workers outlive the main process"
        time.sleep(0.02)
    before = train_entries(here)
    assert len(before) >= 2
    assert "RUNNING" in statuses(here)
    made = sweep_process(*SLOW, cwd=here)
    assert made["counts"] == {"finished": 4}
    assert made["trained"] == 4 - len(before)
    after = train_entries(here)
    assert {key: after[key] for key in before} == before
    assert set(statuses(here)) == {"FINISHED", "KILLED"}


@pytest.mark.long
def test_an_interrupted_sweep_is_closed_as_killed(here: Path) -> None:
    with start(*SMALL, "train.epochs=20000", "seed=range(2)", cwd=here) as process:
        wait_for(here, "outputs/cache/train/.*.part", 1, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    made = summary_of(Done(process.returncode, out, err), here, status=130)
    assert made["counts"] == {"killed": 1, "missing": 1}
    assert statuses(here) == {"KILLED": 2}


@pytest.mark.long
@pytest.mark.parametrize(
    ("launcher", "signum"),
    [
        ("joblib", signal.SIGINT),
        ("slurm_local", signal.SIGINT),
        ("slurm_local", signal.SIGTERM),
    ],
)
def test_jobs_in_processes_write_checkpoints_when_their_sweep_is_interrupted(
    here: Path, launcher: str, signum: int
) -> None:
    arguments = ["train.epochs=20000", "train.checkpoint_every=null", f"hydra/launcher={launcher}"]
    arguments += ["hydra.launcher.n_jobs=2"] * (launcher == "joblib")
    with start(*SMALL, *arguments, "seed=range(5)", cwd=here) as process:
        at_once = 2 if launcher == "joblib" else min(4, available_cores())
        wait_for(here, "outputs/cache/train/.*.part", at_once, process)
        if signum == signal.SIGINT:  # as from a terminal
            os.killpg(process.pid, signum)
        else:
            process.send_signal(signum)
        out, err = process.communicate(timeout=120)
    made = summary_of(Done(process.returncode, out, err), here, status=128 + signum)
    assert made["counts"] == {"killed": at_once, "missing": 5 - at_once}
    assert statuses(here) == {"KILLED": 1 + at_once}
    assert "Traceback" not in err
    assert err.splitlines()[-2].startswith("stopped: what is finished is kept")
    assert len(list(here.glob("outputs/checkpoints/*/*"))) == at_once
