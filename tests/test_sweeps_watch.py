"""Test what a running sweep prints, and which jobs get reports and artifacts."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.stages.report import LATER
from pipeline.sweeps.results import FAILURE, JOB, write_json
from pipeline.sweeps.watch import PROGRAM, Watch
from tests.commands import command, run, write_text

SMALL = (
    *("-m", "corpus=files", "corpus.path=text.txt", "vocab.min_count=1", "model.dim=4"),
    *("train.epochs=1", "train.heldout=0.1", "engine=numpy"),
)
WITHOUT_SCORES = "stages=[tokenize,vocab,train]"


def leave(folder: Path, number: int, value: float | None, failure: str = "") -> None:
    """Write the files of job `number` of a sweep, as they are if it finished, failed or still runs.

    `folder` is the folder of the sweep. If `value` is a number, the job has finished, and `value`
    is its objective, the metric by which the sweep compares its jobs. If `failure` is not empty,
    the job has failed with this error message. Otherwise, the job is still running.
    """
    path = folder / str(number)
    path.mkdir(exist_ok=True)
    done = {} if value is None else {"finished": True, "value": value}
    write_json(path / JOB, {"name": f"seed={number}", **done})
    if failure:
        write_json(path / FAILURE, {"kind": "refused", "reason": failure})


@pytest.mark.parametrize(("objective", "best"), [("loss", 1), ("a/b/c", 0), ("", None)])
def test_the_line_counts_jobs_and_names_the_best(
    tmp_path: Path, objective: str, best: int | None
) -> None:
    (tmp_path / "2024-01-01").mkdir()  # earlier sweeps, if this is in outputs/sweeps itself
    watch = Watch(tmp_path, 5, objective, reports=False)
    assert list(watch.look()) == []
    assert watch.line() == "0 of 5 done, 0 running, 0 failed"
    leave(tmp_path, 0, 3.0)
    leave(tmp_path, 1, 2.0)
    leave(tmp_path, 2, None, failure="no \x1b words")
    leave(tmp_path, 3, None)
    assert list(watch.look()) == ["error: job 2 (seed=2): no \x1b words"]
    assert list(watch.look()) == []  # each failure is told once
    line = watch.line()
    assert re.match(r"3 of 5 done, 1 running, 1 failed, \d+ s left", line)
    (tmp_path / "sweep.json").write_text(json.dumps({"jobs": [[]] * 7}))  # a round was added
    assert list(watch.look()) == []
    assert watch.line().startswith("3 of 7 done")
    named = f", best {objective} {3.0 - best:.4f} (seed={best})" if best is not None else " left"
    assert line.endswith(named)


def test_reports_are_made_of_each_job_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    class Process:
        def __init__(self, arguments: list[str], **_: object) -> None:
            started.append(arguments)

        def poll(self) -> int | None:
            return None if len(started) == 1 else 0

    monkeypatch.setattr("pipeline.sweeps.watch.subprocess.Popen", Process)
    watch = Watch(tmp_path, 3, "loss", reports=True)
    for number in (0, 1, 2):  # the last job has no scores to report
        leave(tmp_path, number, 1.0)
        if number < 2:
            (tmp_path / str(number) / LATER).touch()
        list(watch.look())
    assert started == [[sys.executable, str(PROGRAM), f"report={tmp_path / '0'}"]]
    assert watch.waiting == [tmp_path / "1"]


@pytest.mark.long
def test_all_jobs_have_reports_on_request(tmp_path: Path) -> None:
    done = run(*SMALL, "seed=0,1", "report=all", "tracking=none", cwd=write_text(tmp_path))
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("outputs/sweeps/*/*/*/report.html"))) == 2
    assert "of any other job" not in done.stdout


@pytest.mark.long
def test_a_terminal_shows_one_line_and_failures(tmp_path: Path) -> None:
    write_text(tmp_path)
    parent, child = pty.openpty()
    given = [*SMALL, WITHOUT_SCORES, "tracking=none", "vocab.min_count=1,1000", "seed=range(2)"]
    with subprocess.Popen(
        command(*given),
        cwd=tmp_path,
        stdout=child,
        stderr=child,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(child)
        shown = b""
        while True:
            try:
                part = os.read(parent, 4096)
            except OSError:  # Linux says so at the end
                break
            if not part:
                break
            shown += part
        process.wait(timeout=60)
    os.close(parent)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "\njob 0" not in text
    assert text.count("error: job ") <= 2
    assert "2 finished, 2 refused" in text


def test_the_terminal_lists_the_best_twenty(tmp_path: Path) -> None:
    rates = ",".join(str(0.01 * n) for n in range(1, 22))
    given = (WITHOUT_SCORES, "tracking=none", f"train.lr={rates}", "hydra.sweep.dir=here")
    done = run(*SMALL, *given, cwd=write_text(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "20 of 21 configurations, the best; all of them: here/configurations.csv" in done.stdout
    assert done.stdout.count("one seed\n") + done.stdout.count("one seed ") == 19
    summary = json.loads((tmp_path / "here" / "summary.json").read_bytes())
    assert len(summary["configurations"]) == 21


@pytest.mark.long
def test_vectors_are_artifacts_of_the_best_job_unless_asked_otherwise(
    empty_store: Path, tmp_path: Path
) -> None:
    write_text(tmp_path)
    for choice, count in (("best", 1), ("all", 3), ("none", 0)):
        outputs = f"outputs-{choice}"
        (tmp_path / outputs).mkdir()
        shutil.copy(empty_store, tmp_path / outputs)
        given = (
            WITHOUT_SCORES,
            f"tracking.vectors={choice}",
            f"outputs={outputs}",
            "seed=range(3)",
        )
        done = run(*SMALL, *given, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        found = list(tmp_path.glob(f"{outputs}/mlartifacts/**/artifacts/vectors/vectors.npy"))
        assert len(found) == count
        for path in found:  # one file under two names
            assert path.stat().st_nlink == 2


def test_a_sweep_for_which_the_disk_is_too_small_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path)
    monkeypatch.setattr("w2v.files.free_disk", lambda _: 20_000)
    given = (WITHOUT_SCORES, "tracking=none", "train.checkpoint_every=null", "model.dim=4,400")
    done = run(*SMALL[:-1], "engine=numpy", *given, cwd=tmp_path)
    assert done.returncode == 2
    assert "the vectors of all jobs take" in done.stdout
    assert "this job with all later ones writes" in done.stderr
    assert "has 20.0 kB free" in done.stderr
