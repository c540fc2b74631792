"""Test successive halving: which configurations train further, and the table at the end."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.sweeps.halving import better_half, result_of, rungs_of
from pipeline.sweeps.objective import compare_jobs
from pipeline.sweeps.results import Job
from tests.commands import run, write_text
from tests.sweeps import refused_sweep
from w2v.evaluate.sweep import Sweep

SMALL = (
    *("corpus=files", "corpus.path=text.txt", "vocab.min_count=1", "model.dim=4"),
    *("train.heldout=0.1", "engine=numpy", "stages=[tokenize,vocab,train]", "tracking=none"),
)
HALVING = ("-m", "search=halving", *SMALL, "train.epochs=4", "seed=range(2)")


def job(number: int, lr: float, seed: int, loss: float) -> Job:
    return Job(
        number=number,
        status="finished",
        reason=None,
        settings={"train.lr": lr, "seed": seed},
        figures={"loss": loss},
        cached=False,
        run_id=None,
    )


@pytest.mark.parametrize(
    ("epochs", "first", "rungs"),
    [(8, 1, [1, 2, 4, 8]), (5, 1, [1, 2, 5]), (8, 3, [4, 8]), (2, 1, [1, 2]), (9, 5, [9])],
)
def test_rungs_are_halves(epochs: int, first: int, rungs: list[int]) -> None:
    assert rungs_of(epochs, first) == rungs


def test_the_better_half_is_of_configurations_over_their_seeds() -> None:
    """Of three configurations, halving keeps the two with the lowest mean loss, with all seeds."""
    means = {0.1: 2.0, 0.2: 3.0, 0.3: 4.0}
    jobs = [
        job(number, lr, number % 2, mean + (-1.5 if (lr, number % 2) == (0.3, 1) else 0.1))
        for number, (lr, mean) in enumerate((lr, mean) for lr, mean in means.items() for _ in "ab")
    ]
    assert better_half(compare_jobs("loss", jobs)) == [0, 1, 2, 3]


def compared(ended: int, *finished: float | None) -> Sweep[Job]:
    """Return the comparison of the jobs of a made-up sweep by successive halving.

    The sweep has one or two rounds. In the first round, jobs 0 to 3 train one epoch. In the second
    round, up to three of them are continued to two epochs: job 1 by job 4, job 2 by job 5, and
    job 3 by job 6.

    Parameters
    ----------
    ended
        The number of jobs in the rounds that are complete, which says where the sweep was
        interrupted: 0 for none of the rounds, 4 for the first one, and the number of all jobs for
        both.
    finished
        The loss of each job of the second round, from job 4 on; None for a job that was killed.
        There is no second round if no loss is given.
    """
    jobs = [job(n, lr, 0, loss) for n, (lr, loss) in enumerate(zip(LR, LOSS, strict=True))]
    for number, loss in enumerate(finished, start=4):
        one = job(number, LR[number - 3], 0, loss or 0.0)
        lost = replace(one, status="killed", finished=False, figures={})
        jobs.append(lost if loss is None else one)
    before = [*[None] * 4, *range(1, 1 + len(finished))]
    facts = {"objective": "loss", "difference": None, "ended": ended}
    epochs = [*[1] * 4, *[2] * len(finished)]
    return result_of({**facts, "epochs": epochs, "continues": before}, jobs)


LR, LOSS = (0.1, 0.2, 0.3, 0.4), (3.7, 1.45, 1.46, 1.6)


@pytest.mark.parametrize("finished", [(None, None), (None, 1.44), (1.4, None), (None, 1.44, 1.3)])
def test_an_interrupted_round_does_not_count(finished: tuple[float | None, ...]) -> None:
    result = compared(4, *finished)
    assert [row["train.lr"] for row in result.configurations] == ["0.2", "0.3", "0.4", "0.1"]
    assert [best.number for best in result.best_runs] == [1]
    assert sum(not one.finished for one in result.runs) == finished.count(None)


def test_a_job_that_fails_in_a_round_costs_the_others_nothing() -> None:
    result = compared(6, None, 1.44)
    assert [row["train.lr"] for row in result.configurations] == ["0.3", "0.4", "0.1"]
    assert [best.number for best in result.best_runs] == [5]


def test_jobs_of_an_interrupted_first_round_are_compared() -> None:
    result = compared(0)
    assert [best.number for best in result.best_runs] == [1]


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_text(tmp_path_factory.mktemp("halved"))
    done = run(*HALVING, "train.lr=0.001,0.01,0.1,0.2", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def summary_of(folder: Path) -> dict[str, Any]:
    (sweep,) = folder.glob("outputs/sweeps/*/*")
    found: dict[str, Any] = json.loads((sweep / "summary.json").read_bytes())
    return found


def test_the_table_says_after_how_many_epochs_a_setting_was_dropped(halved: Path) -> None:
    summary = summary_of(halved)
    verdicts = [row["verdict"] for row in summary["configurations"]]
    assert verdicts == ["best", "dropped after 2 epochs", *["dropped after 1 epoch"] * 2]
    assert summary["axes"] == ["train.lr", "seed"]
    assert summary["counts"] == {"finished": 8}
    assert [len(row["jobs"].split()) for row in summary["configurations"]] == [2] * 4
    (sweep,) = halved.glob("outputs/sweeps/*/*")
    assert len(list(sweep.glob("[0-9]*/job.json"))) == 8 + 4 + 2
    effects = [row for row in summary["effects"] if row["setting"] == "train.lr"]
    first = [
        json.loads((sweep / str(n) / "summary.json").read_bytes())["config"]
        | json.loads((sweep / str(n) / "job.json").read_bytes())
        for n in range(8)
    ]
    for row in effects:  # effects of all configurations after the first rung
        values = [one["value"] for one in first if f"{one['train']['lr']}" == row["value"]]
        assert row["mean"] == pytest.approx(np.mean(values))


def test_the_last_rung_has_the_vectors_of_a_whole_training(halved: Path, tmp_path: Path) -> None:
    summary = summary_of(halved)
    best = summary["configurations"][0]
    (sweep,) = halved.glob("outputs/sweeps/*/*")
    folder = sweep / best["jobs"].split()[0]
    made = json.loads((folder / "summary.json").read_bytes())
    assert [epoch["epoch"] for epoch in made["train"]["epochs"]] == [1, 2, 3, 4]
    write_text(tmp_path)
    whole = (f"train.lr={best['train.lr']}", f"seed={made['config']['seed']}", "train.epochs=4")
    assert run(*SMALL, *whole, "train.decay_epochs=4", cwd=tmp_path).returncode == 0
    (single,) = tmp_path.glob("outputs/cache/train/[0-9a-f]*/vectors.npy")
    vectors = np.load(halved / made["files"]["vectors"])
    np.testing.assert_array_equal(vectors, np.load(single))


def test_the_same_command_again_trains_nothing(halved: Path) -> None:
    before = {path.name for path in halved.glob("outputs/cache/train/[0-9a-f]*")}
    assert len(before) == 14
    done = run(*HALVING, "train.lr=0.001,0.01,0.1,0.2", "hydra.sweep.dir=again", cwd=halved)
    assert done.returncode == 0
    assert "0 trained now" in done.stdout
    assert {path.name for path in halved.glob("outputs/cache/train/[0-9a-f]*")} == before


def test_the_epochs_of_an_experiment_count(tmp_path: Path) -> None:
    params = 'hydra.sweeper.params={train.epochs: 3, train.lr: "0.1,0.2"}'
    done = run("-m", "search=halving", *SMALL, params, cwd=write_text(tmp_path))
    assert done.returncode == 0, done.stderr
    rounds = [line for line in done.stdout.splitlines() if " jobs of " in line]
    assert rounds == ["2 jobs of 1 epoch", "1 jobs of 3 epochs"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["train.epochs=2,4"], "train.epochs=2,4: halving needs the same for all jobs"),
        (["train.epochs=1"], "hydra.sweeper.min_epochs=1: must be from 1 to less than"),
        (["hydra.sweeper.min_epochs=0"], "hydra.sweeper.min_epochs=0: must be from 1"),
        (["hydra.sweeper.min_epochs=true"], "hydra.sweeper.min_epochs=True: must be from 1"),
        (["train.patience=2"], "train.patience: must be null where search=halving stops"),
        (["train.patience=1,2"], "train.patience: must be null where search=halving stops"),
        (
            ["hydra.sweeper.params={train.patience: 2}"],
            "train.patience: must be null where search=halving stops",
        ),
    ],
)
def test_what_cannot_be_halved_is_refused(arguments: list[str], line: str, tmp_path: Path) -> None:
    changed = [text.partition("=")[0] for text in arguments]
    given = [text for text in HALVING[1:] if text.partition("=")[0] not in changed]
    refusal = refused_sweep(*given, *arguments, "train.lr=0.1,0.2", cwd=write_text(tmp_path))
    assert refusal.startswith(line)
    assert not (tmp_path / "outputs" / "sweeps").exists()


def test_experiments_that_cannot_be_halved_together_are_refused(tmp_path: Path) -> None:
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    for epochs in ("4", "8"):
        file = tmp_path / "conf" / "experiment" / f"decay{epochs}.yaml"
        file.write_text(f"# @package _global_\ntrain: {{decay_epochs: {epochs}}}\n")
    experiments = ("--config-dir=conf", "experiment=decay4,decay8")
    done = run(*HALVING, *experiments, cwd=write_text(tmp_path))
    assert done.returncode == 2
    line = "error: train.decay_epochs=4,8: halving needs the same for all jobs"
    assert done.stderr.startswith(line)
    assert not (tmp_path / "outputs" / "sweeps").exists()
