"""Sweeps: real commands with every launcher, and the judgement against slow oracles."""

import itertools
import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from omegaconf import OmegaConf
from scipy import stats

from pipeline.config.values import brief, short_names
from pipeline.runtime.threads import available_cores
from pipeline.sweeps import analysis as sweeps
from pipeline.sweeps import results as jobs_of
from pipeline.sweeps import search
from pipeline.sweeps import session as callbacks
from pipeline.sweeps.analysis import judge
from pipeline.sweeps.results import Job
from tests.test_config import settled
from w2v import WordVectors
from w2v.errors import InputError

ROOT = Path(__file__).parents[1]

TEXT = """
the cat sat on the mat and the dog sat on the rug
a dog and a cat are animals and a mat and a rug are things
the king spoke to the queen and the queen spoke to the king
paris is in france and london is in england
""".strip().split("\n")

SMALL = (
    "corpus=files",
    "corpus.path=text.txt",
    "vocab.min_count=1",
    "model.dim=4",
    "train.epochs=1",
    "train.heldout=0.1",
    "engine=numpy",
    "stages=[tokenize,vocab,train]",
)


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "pipeline" / "run.py"), "-m", *SMALL, *arguments]


def sweep(*arguments: str, cwd: Path, status: int = 0) -> dict[str, Any]:
    """Run a sweep; the newest summary, with what was printed."""
    result = subprocess.run(
        command(*arguments), cwd=cwd, capture_output=True, text=True, timeout=600
    )
    assert result.returncode == status, result.stdout + result.stderr
    path = sorted(cwd.glob("outputs/sweeps/*/*/summary.json"))[-1]
    summary: dict[str, Any] = json.loads(path.read_bytes())
    return summary | {"stdout": result.stdout, "stderr": result.stderr}


def query(cwd: Path, sql: str) -> list[Any]:
    with sqlite3.connect(cwd / "outputs" / "mlflow.db") as database:
        return database.execute(sql).fetchall()


def statuses(cwd: Path) -> dict[str, int]:
    """How many tracked runs ended how."""
    return dict(query(cwd, "select status, count(*) from runs group by status"))


def train_entries(cwd: Path) -> dict[str, int]:
    """The entries of the training cache, with when they were made."""
    return {
        path.parent.name: path.stat().st_mtime_ns
        for path in cwd.glob("outputs/cache/train/[0-9a-f]*/manifest.json")
    }


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("\n".join(TEXT * 30) + "\n")
    return tmp_path


# Commands


def test_a_sweep_is_one_run_and_the_same_again_trains_nothing(here: Path) -> None:
    arguments = ("loss=negsample,softmax", "loss.negatives=2,3", "seed=range(2)")
    made = sweep(*arguments, cwd=here)
    assert made["counts"] == {"finished": 6}  # the softmax has no K: it is run once for both
    assert made["trained"] == 6
    assert "loss.negatives is left out where loss=softmax" in made["stdout"]
    assert made["stderr"] == ""
    assert made["axes"] == ["loss", "loss.negatives", "seed"]
    assert made["compared_within"] == ["loss", "loss.negatives"]
    assert [row["seeds"] for row in made["configurations"]] == [2, 2, 2]
    folder = here / made["sweep_dir"]
    assert (folder / "multirun.yaml").is_file()
    parent = made["mlflow_run_id"]
    nested = query(here, "select run_uuid from tags where key = 'mlflow.parentRunId'")
    assert {row["run_id"] for row in made["jobs"]} == {run for (run,) in nested}
    assert query(here, "select distinct value from tags where key = 'mlflow.parentRunId'") == [
        (parent,)
    ]
    names = {name for (name,) in query(here, "select name from runs")}
    assert {"loss=softmax seed=1", "loss=negsample negatives=3 seed=0"} <= names
    ((first,),) = query(here, f"select start_time from runs where run_uuid = '{parent}'")
    assert all(start >= first for (start,) in query(here, "select start_time from runs")), (
        "the parent is there before its jobs"
    )
    artifacts = next((here / "outputs" / "mlartifacts").rglob(parent)) / "artifacts"
    for name in ("summary.json", "tables/jobs.csv", "tables/jobs.parquet", "tables/jobs.json"):
        assert (artifacts / name).stat().st_size > 0
    for name in ("plots/parallel.png", "plots/effects.png", "tables/configurations.json"):
        assert (artifacts / name).stat().st_size > 0
    tokenized = list(here.glob("outputs/cache/tokenize/[0-9a-f]*"))
    assert len(tokenized) == 1
    entries = train_entries(here)

    again = sweep(*arguments, cwd=here)
    assert again["trained"] == 0
    assert train_entries(here) == entries
    assert again["configurations"] == made["configurations"]
    assert statuses(here) == {"FINISHED": 14}


def test_a_job_fails_alone_and_the_status_tells(here: Path) -> None:
    result = sweep("vocab.min_count=1,1000,2", cwd=here, status=2)
    assert result["counts"] == {"finished": 2, "refused": 1}
    (failed,) = [row for row in result["jobs"] if row["status"] == "refused"]
    assert failed["vocab.min_count"] == "1000"
    assert failed["reason"].startswith("vocab.min_count=1000 leaves 0 of")
    assert result["stderr"] == f"error: job 1 (vocab.min_count=1000): {failed['reason']}\n"
    assert statuses(here) == {"FINISHED": 2, "FAILED": 2}
    reasons = dict(query(here, "select run_uuid, value from tags where key = 'failure'"))
    assert len(reasons) == 2
    assert "1 of 3 jobs did not finish" in reasons.pop(result["mlflow_run_id"])
    assert failed["reason"] in reasons.popitem()[1]


REFUSED = {
    ("model.window=2,0",): "model.window=0: must be from 1 to 10,000",
    ("model.windw=2,3",): "model.windw: no such setting here; did you mean model.window?",
    ("loss=negsample,hinge",): "loss=hinge: no such choice; there are",
    ("model.dim=4,x",): "model.dim: Value 'x' of type 'str' could not be converted to Integer",
    ("train.lr=interval(0.1,0.2)",): "train.lr=interval(0.1,0.2): an interval has no end of values",
    ("search=optuna", "model.window=2,5"): (
        "search.objective=heldout_loss: does not compare over model.window;"
    ),
    ("search=optuna", "seed=range(3)"): "seed=range(3): a search would choose the luckiest seed;",
    ("search=optuna", "loss=negsample,softmax", "loss.negatives=2,5", "search.objective=seconds"): (
        "loss.negatives=2,5: no such setting where loss=softmax;"
    ),
    ("search=optuna", "hydra.sweeper.n_trials=0"): "hydra.sweeper.n_trials=0: must be at least 1",
    ("search=optuna", "hydra.sweeper.direction=up"): (
        "hydra.sweeper.direction=up: must be minimize, maximize or null"
    ),
    ("search=optuna", "hydra.sweeper.storage=sqlite:////nowhere/x.db"): (
        "hydra.sweeper.storage=sqlite:////nowhere/x.db: cannot be used ("
    ),
    ("seed=0,1", "search.objective=similarity"): "search.objective=similarity: no such figure",
    ("seed=0,1", "hydra/launcher=slurm"): "hydra/launcher=slurm: there is no sbatch here;",
    ("seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=0"): (
        "hydra.launcher.n_jobs=0: must be at least 1"
    ),
    ("seed=0,1", "hydra.job.chdir=true"): "hydra.job.chdir=true: must be false;",
    ("seed=0,1", "hydra.sweep.subdir=x"): "hydra.sweep.subdir: must stay ${hydra.job.num}",
    ("outputs=a,b",): "outputs=a,b: a sweep has one; give a single value",
    ("tracking=none,mlflow",): "tracking=none,mlflow: a sweep has one; give a single value",
    ("seed=range(3),7",): "seed=range(3),7: give a list of values, or one range",
    ("seed=glob(*)",): "seed=glob(*): stands for none of the choices of a group",
    ("experiment=compare_windows,compare_negatives",): (
        "experiment=compare_windows: is a sweep of its own; it cannot be one choice of another"
        if version("hydra-core") < "1.4"
        else "'hydra.sweeper' must be configured before the sweep starts"
    ),
    ("seed=0,1", "outputs=a%20b"): "outputs=a%20b: MLflow cannot keep its database in a folder",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_a_bad_sweep_is_refused_in_one_line_before_any_work(
    here: Path, arguments: Sequence[str]
) -> None:
    result = subprocess.run(
        command(*arguments), cwd=here, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {REFUSED[tuple(arguments)]}"), result.stderr
    assert result.stderr.count("\n") == 1
    assert not (here / "outputs" / "cache").exists()
    assert not (here / "outputs" / "mlflow.db").exists()


def test_parallel_jobs_on_a_fresh_store(here: Path, sweeps_in_a_row: int) -> None:
    for number in range(sweeps_in_a_row):
        cwd = here / str(number)
        cwd.mkdir()
        (cwd / "text.txt").write_bytes((here / "text.txt").read_bytes())
        made = sweep(
            "hydra/launcher=joblib",
            "hydra.launcher.n_jobs=2",
            "train.lr=0.1,0.2",
            "seed=range(8)",
            cwd=cwd,
        )
        assert made["counts"] == {"finished": 16}
        assert made["stderr"] == ""
        assert statuses(cwd) == {"FINISHED": 17}
        assert len(train_entries(cwd)) == 16
        ((metrics,),) = query(cwd, "select count(*) from metrics where key = 'epoch/heldout_loss'")
        assert metrics == 16
        assert len(list(cwd.glob("outputs/cache/tokenize/[0-9a-f]*"))) == 1
        threads = [
            json.loads(path.read_bytes())["train"]["threads"]
            for path in cwd.glob("outputs/sweeps/*/*/*/summary.json")
        ]
        assert threads == [max(1, available_cores() // 2)] * 16


def wait_for(cwd: Path, pattern: str, count: int, process: "subprocess.Popen[str]") -> list[Path]:
    for _ in range(6000):
        found = list(cwd.glob(pattern))
        if len(found) >= count:
            return found
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    raise AssertionError(f"no {pattern}")


def children_of(pid: int) -> list[int]:
    """The processes below one, by Linux's own books."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found += [child, *children_of(child)]
    return found


LONG = ("train.epochs=2000", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=range(5)")


def started(here: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command(*arguments),
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_sweep_goes_on_without_the_worker_that_was_killed(here: Path) -> None:
    with started(here, *LONG) as process:
        wait_for(here, "outputs/sweeps/*/*/*/summary.json", 1, process)
        running = wait_for(here, "outputs/cache/train/.*.part", 1, process)
        workers = [pid for pid in children_of(process.pid) if is_worker(pid)]
        assert running
        os.kill(workers[0], signal.SIGKILL)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    (path,) = here.glob("outputs/sweeps/*/*/summary.json")
    made = json.loads(path.read_bytes())
    assert made["counts"] == {"finished": 5}
    ended = statuses(here)
    assert ended["FINISHED"] == 6
    assert set(ended) <= {"FINISHED", "KILLED"}
    assert len(train_entries(here)) == 5


def is_worker(pid: int) -> bool:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
    return "popen_loky" in line and "resource_tracker" not in line


def test_a_sweep_that_was_killed_is_completed_by_the_same_command(here: Path) -> None:
    with started(here, *LONG) as process:
        wait_for(here, "outputs/sweeps/*/*/*/summary.json", 2, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    before = train_entries(here)
    assert len(before) >= 2
    assert "RUNNING" in statuses(here)
    made = sweep(*LONG, cwd=here)
    assert made["counts"] == {"finished": 5}
    assert made["trained"] == 5 - len(before)
    after = train_entries(here)
    assert {key: after[key] for key in before} == before
    assert set(statuses(here)) == {"FINISHED", "KILLED"}


def test_an_interrupted_sweep_is_closed_as_killed(here: Path) -> None:
    with started(here, "train.epochs=100000", "seed=range(2)") as process:
        wait_for(here, "outputs/cache/train/.*.part", 1, process)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert statuses(here) == {"KILLED": 2}
    (path,) = here.glob("outputs/sweeps/*/*/summary.json")
    assert json.loads(path.read_bytes())["counts"] == {"killed": 1, "missing": 1}


def test_a_search_resumes_and_ends(here: Path) -> None:
    search = ("search=optuna", "hydra.sweeper.params={train.lr: 'interval(0.01,0.5)'}")
    first = sweep(*search, "hydra.sweeper.n_trials=3", cwd=here)
    assert first["counts"] == {"finished": 3}
    assert len({row["train.lr"] for row in first["jobs"]}) == 3
    again = sweep(*search, "hydra.sweeper.n_trials=3", cwd=here)
    assert again["jobs"] == []
    assert "of the whole study: train.lr=" in again["stdout"]
    with sqlite3.connect(here / "outputs" / "optuna.db") as database:
        # as a search leaves it that is killed in the middle of a trial
        database.execute(
            "update trials set state = 'RUNNING', datetime_complete = null where number = 2"
        )
    more = sweep(*search, "hydra.sweeper.n_trials=4", "hydra/launcher=joblib", cwd=here)
    assert more["counts"] == {"finished": 2}
    assert more["trained"] == 1, "the trial that was killed is tried again, from the cache"
    other = sweep(*search, "hydra.sweeper.n_trials=1", "model.dim=5", cwd=here)
    assert other["trained"] == 1, "other settings are another study"


def test_submitit_on_this_machine(here: Path) -> None:
    made = sweep("hydra/launcher=slurm_local", "vocab.min_count=1,1000", cwd=here, status=2)
    assert made["counts"] == {"finished": 1, "refused": 1}
    assert statuses(here) == {"FINISHED": 1, "FAILED": 2}


def test_the_slurm_settings_compose(here: Path) -> None:
    shown = command("hydra/launcher=slurm", "hydra.launcher.partition=long", "--cfg", "hydra")
    result = subprocess.run(
        [part for part in shown if part != "-m"],
        cwd=here,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert "partition: long" in result.stdout
    assert "SlurmLauncher" in result.stdout


def test_every_comparison_plans_its_jobs(here: Path) -> None:
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


# Judging, against oracles


def job(number: int, value: float | None, **settings: Any) -> Job:
    status = "crashed" if value is None else "finished"
    figures = {} if value is None else {"score": value, "heldout_loss": value}
    flat = {key.replace("__", "."): setting for key, setting in settings.items()}
    return Job(number, status, None, flat, figures, 1.0 + number, False, None, None)


def test_configurations_are_means_over_seeds() -> None:
    random = np.random.default_rng(0)
    jobs: list[Job] = []
    expected: dict[tuple[str, str], Any] = {}
    for dim, window in itertools.product((10, 20), (2, 5)):
        values = random.normal(dim / 10 + window, 0.1, 3)
        expected[str(dim), str(window)] = values
        jobs += [
            job(len(jobs) + s, float(v), model__dim=dim, model__window=window, seed=s)
            for s, v in enumerate(values)
        ]
    table = judge(jobs, "score").configurations
    assert list(table["mean"]) == sorted(table["mean"], reverse=True)
    assert table["verdict"].iloc[0] == "best"
    means = {key: values.mean() for key, values in expected.items()}
    best = max(means, key=lambda key: means[key])
    pooled = np.mean([values.var(ddof=1) for values in expected.values()])
    for row in table.to_dict("records"):
        values = expected[row["model.dim"], row["model.window"]]
        half = 4.302652729911275 * values.std(ddof=1) / math.sqrt(3)  # t of 2 degrees, 97.5 %
        assert row["mean"] == pytest.approx(values.mean())
        assert (row["low"], row["high"]) == pytest.approx(
            (values.mean() - half, values.mean() + half)
        )
        if (row["model.dim"], row["model.window"]) != best:
            gap = (means[best] - values.mean()) / math.sqrt(pooled / 3)
            p = stats.studentized_range.sf(gap, 4, 8)
            assert row["p"] == pytest.approx(p, abs=1e-6)
            assert row["verdict"] == ("worse" if p < 0.05 else "within noise")


def test_differences_are_those_of_tukeys_test() -> None:
    random = np.random.default_rng(2)
    samples = [random.normal(size=n).tolist() for n in (2, 3, 4)]
    expected = stats.tukey_hsd(*samples).pvalue
    for best in range(3):
        assert sweeps.tukey(samples, best) == pytest.approx(expected[best].tolist(), abs=1e-6)


def test_chance_alone_is_rarely_called_a_difference() -> None:
    """The level holds for the pairs with the best one, which is chosen after looking."""
    random = np.random.default_rng(1)
    wrong = 0
    for _ in range(200):
        samples = random.normal(size=(6, 3))
        ends = [int(samples.mean(axis=1).argmin()), int(samples.mean(axis=1).argmax())]
        both = [samples[i].tolist() for i in range(6)]
        (p,) = [sweeps.tukey(both, ends[1])[ends[0]]] if fast(samples, ends) else [1.0]
        wrong += p is not None and p < sweeps.LEVEL
    assert 1 <= wrong <= 20  # 10 expected of 200; 20 has a chance of 0.3 %


def fast(samples: Any, ends: Sequence[int]) -> bool:
    """Whether the widest gap can be one of chance's rare ones; spares most integrals."""
    low, high = (samples[i].mean() for i in ends)
    return bool((high - low) / math.sqrt(samples.var(axis=1, ddof=1).mean() / 3) > 4)


def test_a_real_difference_is_found() -> None:
    jobs = [
        job(i, (0.3 if dim == 10 else 0.5) + 0.01 * seed, model__dim=dim, seed=seed)
        for i, (dim, seed) in enumerate(itertools.product((10, 20), range(3)))
    ]
    assert list(judge(jobs, "score").configurations["verdict"]) == ["best", "worse"]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([[1.0], [2.0, 2.1]], [None, 1.0]),
        ([[1.0, 1.0], [2.0, 2.0]], [0.0, 1.0]),
        ([[2.0, 2.0], [2.0, 2.0]], [1.0, 1.0]),
        ([[1.0], [2.0]], [None, None]),
        ([[1.0, 1.2]], [1.0]),
    ],
)
def test_samples_that_no_test_takes(
    samples: list[list[float]], expected: list[float | None]
) -> None:
    assert sweeps.tukey(samples, len(samples) - 1) == expected


def test_losses_compare_only_where_they_answer_the_same_question() -> None:
    jobs = [
        job(i, float(value), loss=loss, model__dim=dim, seed=0, **own)
        for i, (value, loss, dim, own) in enumerate(
            [
                (1, "negsample", 10, {"loss__negatives": 2}),
                (2, "negsample", 20, {"loss__negatives": 2}),
                (5, "negsample", 10, {"loss__negatives": 5}),
                (3, "negsample", 20, {"loss__negatives": 5}),
                (7, "softmax", 10, {"loss__logits_mb": 64}),
            ]
        )
    ]
    result = judge(jobs, "heldout_loss")
    assert result.compared_within == ["loss", "loss.negatives"]
    best = {(row["group"], row["model.dim"]) for row in result.best}
    assert best == {("negsample 2", "10"), ("negsample 5", "20")}  # softmax has nothing to beat
    effects = result.effects
    assert set(effects["setting"]) == {"model.dim"}
    # less the means of the groups: -0.5, 0.5, 1, -1, 0
    assert list(effects["effect"]) == pytest.approx([0.5 / 3, -0.25])
    assert effects["mean"].isna().all()
    assert judge(jobs, "score").compared_within == []
    assert [row["loss"] for row in judge(jobs, "score").best] == ["softmax"]


def test_a_setting_that_follows_from_a_choice_is_no_axis() -> None:
    jobs = [
        job(0, 1.0, engine="numpy", engine__name="numpy", model__dim=4, seed=0),
        job(1, 2.0, engine="numba", engine__name="numba", model__dim=4, seed=0),
    ]
    assert judge(jobs, "score").axes == ["engine"]
    jobs = [
        job(0, 1.0, experiment="a", model__dim=4, seed=0),
        job(1, 2.0, experiment="b", model__dim=5, seed=0),
        job(2, 2.0, experiment="b", model__dim=5, seed=1),
    ]
    assert judge(jobs, "score").axes == ["experiment", "seed"]


def test_the_same_job_twice_is_one_observation() -> None:
    jobs = [job(i, 1.0, model__dim=4, seed=0) for i in range(2)]
    jobs.append(job(2, 2.0, model__dim=5, seed=0))
    table = judge(jobs, "score").configurations
    assert list(table["seeds"]) == [1, 1]
    assert list(table["verdict"]) == ["best", "one seed"]


def test_main_effects_of_a_number_with_many_values_are_of_its_quarters() -> None:
    jobs = [job(i, float(i), train__lr=0.01 * (i + 1), seed=0) for i in range(12)]
    effects = judge(jobs, "score").effects
    assert list(effects["jobs"]) == [3, 3, 3, 3]
    assert list(effects["mean"]) == [1, 4, 7, 10]


def test_neighbours_that_seeds_agree_on(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    words = [f"w{i}" for i in range(40)]
    paths, nearest = [], []
    for seed in range(3):
        vectors = random.normal(size=(40, 5)).astype(np.float32)
        folder = tmp_path / str(seed)
        folder.mkdir()
        WordVectors(words, vectors).save(folder)
        paths.append(str(folder / "vectors.npy"))
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        nearest.append(
            [
                {j for _, j in sorted((-unit[i] @ unit[j], j) for j in range(40) if j != i)[:10]}
                for i in range(40)
            ]
        )
    expected = np.mean(
        [
            len(nearest[a][i] & nearest[b][i]) / 10
            for a, b in ((0, 1), (0, 2), (1, 2))
            for i in range(40)
        ]
    )
    assert sweeps.overlap(paths) == pytest.approx(expected)
    assert sweeps.overlap([paths[0], paths[0]]) == 1.0
    assert sweeps.overlap(paths[:1]) is None


def test_every_way_to_end_is_told(tmp_path: Path) -> None:
    first, second = ({"given": {"a": i}, "choices": {}, "settings": {}} for i in (1, 2))
    failure = {"kind": "crashed", "reason": "MemoryError"}
    left: tuple[dict[str, Any], ...] = ({"job": first}, {"job": second, "failure": failure})
    for number, files in enumerate(left):
        (tmp_path / str(number)).mkdir()
        for name, content in files.items():
            (tmp_path / str(number) / f"{name}.json").write_text(json.dumps(content))
    jobs = jobs_of.read_jobs(tmp_path, [{"a": 1}, {"a": 2}, {"a": 3}])
    assert [(j.number, j.status, j.settings["a"]) for j in jobs] == [
        (0, "killed", 1),
        (1, "crashed", 2),
        (2, "missing", 3),
    ]
    result = judge(jobs, "heldout_loss")
    summary = sweeps.write(
        tmp_path, result, {"command": "c", "sweep_dir": "d", "seconds": 1.0, "error": None}
    )
    assert summary["counts"] == {"killed": 1, "crashed": 1, "missing": 1}
    assert summary["best"] == []
    assert "MemoryError" in sweeps.markdown(result, summary)
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize("error", [MemoryError(), ValueError("odd"), RecursionError("deep")])
def test_a_job_that_breaks_is_written_down(
    tmp_path: Path,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    member = callbacks.Member(
        tmp_path, 3, ["seed=1"], {}, None, "heldout_loss", 1, True, ["seed"], []
    )

    def broken(*_: object) -> Any:
        raise error

    monkeypatch.setattr("pipeline.config.schema.resolve", broken)
    assert callbacks.join(member, OmegaConf.create(), broken) is None
    failure = json.loads((tmp_path / "failure.json").read_bytes())
    assert failure["kind"] == "crashed"
    assert failure["reason"].startswith(type(error).__name__)
    assert capsys.readouterr().err == f"error: job 3 (seed=1): {failure['reason']}\n"


def test_values_are_told_apart_however_close() -> None:
    jobs = [
        job(i, value, train__lr=lr, seed=0)
        for i, (lr, value) in enumerate(((0.0250001, 0.1), (0.0250002, 0.9), (0.01, 0.5)))
    ]
    table = judge(jobs, "score").configurations
    assert list(table["mean"]) == [0.9, 0.5, 0.1]
    assert list(table["train.lr"]) == ["0.0250002", "0.01", "0.0250001"]
    assert brief(table["train.lr"]) == {
        "0.0250002": "0.0250002",
        "0.01": "0.01",
        "0.0250001": "0.0250001",
    }
    assert brief(["0.034512345", "0.1"]) == {"0.034512345": "0.03451", "0.1": "0.1"}
    assert brief(["a", "–", "1000000"]) == {"a": "a", "–": "–", "1000000": "1000000"}
    assert short_names(["evaluate.seed", "seed", "model.dim"]) == {
        "evaluate.seed": "evaluate.seed",
        "seed": "seed",
        "model.dim": "dim",
    }


def test_a_setting_of_some_choices_is_judged_among_the_jobs_that_have_it() -> None:
    jobs = [
        job(0, 1.0, loss="negsample", loss__negatives=2, seed=0),
        job(1, 3.0, loss="negsample", loss__negatives=5, seed=0),
        job(2, 20.0, loss="softmax", seed=0),
    ]
    effects = judge(jobs, "score").effects
    own = effects[effects["setting"] == "loss.negatives"]
    assert dict(zip(own["value"], own["effect"], strict=True)) == {"2": -1.0, "5": 1.0}


def test_what_follows_is_said() -> None:
    values = {10: (0.5, 0.52, 0.48), 50: (0.51, 0.53, 0.5), 90: (0.1, 0.11, 0.12)}
    seconds = {10: 1.0, 50: 9.0, 90: 0.1}
    jobs = [
        Job(
            number=i,
            status="finished",
            reason=None,
            settings={"model.dim": dim, "seed": seed},
            figures={
                "similarity/mine/spearman": value,
                "similarity/mine/coverage": 0.5 + 0.1 * (dim > 50),
            },
            seconds=seconds[dim],
            cached=False,
            run_id=None,
            vectors=None,
        )
        for i, (dim, seed, value) in enumerate(
            (dim, seed, value) for dim, three in values.items() for seed, value in enumerate(three)
        )
    ]
    quick, covered = sweeps.advice(judge(jobs, "similarity/mine/spearman"))
    assert quick == (
        "quickest within noise of the best: model.dim=10 (1.0 s of training against 9.0 s)"
    )
    assert covered.startswith("not all are asked the same: their words cover 50% to 60% of mine;")


@pytest.mark.parametrize(
    ("objective", "overrides", "line"),
    [
        ("heldout_los", (), "no such figure here; did you mean heldout_loss?"),
        ("accuracy", (), "no such figure here; there are heldout_loss, loss, words_per_second, "),
        ("similarity/wordsim353/spearmann", (), "did you mean similarity/wordsim353/spearman?"),
        (
            "loss",
            ("engine=gensim",),
            "there are heldout_loss, words_per_second, seconds, similarity/",
        ),
        ("heldout_loss", ("evaluate.vectors=a.vec", "stages=[evaluate]"), "there are similarity/"),
    ],
)
def test_an_objective_that_cannot_be_had_is_refused_beforehand(
    objective: str, overrides: tuple[str, ...], line: str
) -> None:
    with pytest.raises(InputError) as refusal:
        jobs_of.check_objective(settled(*overrides), objective)
    assert str(refusal.value).startswith(f"search.objective={objective}: ")
    assert line in str(refusal.value)


def test_every_objective_there_is_is_found_after_a_run(here: Path) -> None:
    (here / "pairs.tsv").write_text("cat\tdog\t9\nking\tqueen\t8\nrug\tmat\t5\ncat\tking\t1\n")
    (here / "q.txt").write_text(": gram1\ncat cat dog dog\n: family\nking queen queen king\n")
    made = sweep(
        "stages=[tokenize,vocab,train,evaluate]",
        "evaluate.similarity={mine: pairs.tsv}",
        "evaluate.analogy={own: q.txt}",
        "~evaluate.similarity.wordsim353",
        "~evaluate.similarity.simlex999",
        "~evaluate.analogy.google",
        "seed=0,1",
        "search.objective=seconds",
        cwd=here,
    )
    found = {key for key in made["jobs"][0] if "/" in key or key.endswith(("loss", "second"))}
    config = settled("evaluate.similarity={mine: a}", "evaluate.analogy={own: b}")
    named = [
        name
        for name in jobs_of.objectives(config)
        if name.split("/")[1:2] in ([], ["mine"], ["own"])
    ]
    assert found <= {*named} <= {*found, "seconds", "analogy/own/semantic", "analogy/own/syntactic"}


def test_the_alias_goes_to_the_best_job(here: Path) -> None:
    made = sweep(
        "train.epochs=8,1",
        "tracking.model=true",
        "tracking.register=words@champion",
        cwd=here,
    )
    assert [row["job"] for row in made["jobs"]] == [0, 1]
    (best,) = made["best"]
    assert best["jobs"] == "0"
    query_ = (
        "select v.run_id from registered_model_aliases a join model_versions v "
        "on v.name = a.name and v.version = a.version where a.alias = 'champion'"
    )
    assert query(here, query_) == [(made["jobs"][0]["run_id"],)]


def test_what_another_sweep_left_in_the_folder_is_set_aside(here: Path) -> None:
    folder = "hydra.sweep.dir=here"
    first = subprocess.run(
        command(folder, "seed=range(3)", "vocab.min_count=1000000", "tracking=none"),
        cwd=here,
        capture_output=True,
        text=True,
    )
    assert first.returncode == 2
    second = subprocess.run(
        command(folder, "seed=0,1", "tracking=none"), cwd=here, capture_output=True, text=True
    )
    assert second.returncode == 0, second.stderr
    assert json.loads((here / "here" / "summary.json").read_bytes())["counts"] == {"finished": 2}
    (aside,) = here.glob("here.before-*")
    assert json.loads((aside / "summary.json").read_bytes())["counts"] == {"refused": 3}
    with FileLock(here / "here" / ".lock"):
        third = subprocess.run(
            command(folder, "seed=0,1", "tracking=none"), cwd=here, capture_output=True, text=True
        )
    assert (third.returncode, third.stderr) == (
        2,
        "error: hydra.sweep.dir=here: a sweep that runs has this folder; name another\n",
    )


def test_a_study_of_another_text_is_another_study(here: Path) -> None:
    space = "hydra.sweeper.params={train.lr: 'interval(0.01,0.5)'}"
    arguments = ("search=optuna", space, "hydra.sweeper.n_trials=1", "tracking=none")
    assert sweep(*arguments, cwd=here)["trained"] == 1
    (here / "text.txt").write_text("\n".join(TEXT * 31) + "\n")
    assert sweep(*arguments, cwd=here)["trained"] == 1


def test_a_trial_that_is_killed_twice_is_left_out(tmp_path: Path) -> None:
    import optuna

    url = f"sqlite:///{tmp_path}/optuna.db"
    assert search.resume(url, "s", "minimize") == (0, 0, 0)
    study = optuna.load_study(study_name="s", storage=url)
    for attempt in range(2):
        trial = study.ask()
        trial.suggest_float("x", 0.5, 0.5)
        state = search.resume(url, "s", "minimize")
        waiting = [t for t in study.get_trials() if t.state.name == "WAITING"]
        assert len(waiting) == (1 if attempt == 0 else 0)
    assert state.complete == 0
    assert state.finished == 1


def test_a_sweep_has_a_folder_of_its_own(here: Path) -> None:
    for place in (".", ".."):
        done = subprocess.run(
            command(f"hydra.sweep.dir={place}", "seed=0,1", "tracking=none"),
            cwd=here,
            capture_output=True,
            text=True,
        )
        line = f"error: hydra.sweep.dir={place}: must be a folder of its own\n"
        assert (done.returncode, done.stderr) == (2, line)


def test_what_is_fixed_in_a_file_is_part_of_a_study(here: Path) -> None:
    trained = []
    for epochs in (1, 2):
        (here / "conf" / "experiment").mkdir(parents=True, exist_ok=True)
        (here / "conf" / "experiment" / "p.yaml").write_text(
            "# @package _global_\n"
            "hydra: {sweeper: {params: {train.epochs: "
            f"{epochs}, train.lr: 'choice(0.1,0.2)'}}}}}}\n"
        )
        done = subprocess.run(
            [
                *(sys.executable, str(ROOT / "pipeline" / "run.py"), "-m", "--config-dir", "conf"),
                *(text for text in SMALL if "epochs" not in text),
                *("search=optuna", "experiment=p", "hydra.sweeper.n_trials=1", "tracking=none"),
            ],
            cwd=here,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        path = sorted(here.glob("outputs/sweeps/*/*/summary.json"))[-1]
        trained.append(json.loads(path.read_bytes())["trained"])
    assert trained == [1, 1]
