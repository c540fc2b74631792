"""Test the plots and HTML reports of a sweep: the best job has them, other jobs on request."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.commands import run, write_text

SWEEP = (
    *("-m", "corpus=files", "corpus.path=text.txt", "vocab.min_count=1", "model.dim=4"),
    *("train.epochs=1", "train.heldout=0.1", "engine=numpy", "evaluate.analogy={google: null}"),
    *("evaluate.map_words=20", "seed=range(3)"),
)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """Run a sweep of three jobs, and return its working directory."""
    folder = write_text(tmp_path_factory.mktemp("swept"))
    (folder / "outputs").mkdir()
    shutil.copy(empty_store, folder / "outputs")
    done = run(*SWEEP, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def here(swept: Path, tmp_path: Path) -> Path:
    """Return a copy of the working directory of a sweep, as if its outputs had been moved."""
    return Path(shutil.copytree(swept, tmp_path / "here"))


def jobs_of(folder: Path) -> list[Path]:
    """Return the folders of the sweep's jobs, ordered by held-out loss, the lowest first."""
    (sweep,) = folder.glob("outputs/sweeps/*/*")
    rows = json.loads((sweep / "summary.json").read_bytes())["jobs"]
    return [
        sweep / str(row["job"]) for row in sorted(rows, key=lambda row: float(row["heldout_loss"]))
    ]


def artifacts_of(job: Path, folder: Path) -> dict[str, Path]:
    """Return the paths of the artifacts of a job's MLflow run, by name.

    `folder` contains the folder ``outputs``, in which the artifacts are.
    """
    run_id = json.loads((job / "summary.json").read_bytes())["mlflow_run_id"]
    return {
        path.name: path
        for path in (folder / "outputs" / "mlartifacts").rglob("*")
        if run_id in path.parts and path.is_file()
    }


def test_the_best_job_has_a_report_and_others_get_one_on_request(here: Path) -> None:
    best, other, third = jobs_of(here)
    assert (best / "report.html").is_file()
    assert (best / "map.html").is_file()
    assert {"report.html", "map.html", "loss.png"} <= set(artifacts_of(best, here))
    assert not (other / "report.html").exists()
    assert "loss.png" not in artifacts_of(other, here)

    relative = os.path.relpath(other, here)
    done = run(f"report={relative}", cwd=here)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"report    {relative}/report.html\n"
    assert {"report.html", "map.html", "loss.png", "zipf.png"} <= set(artifacts_of(other, here))
    page = (other / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == (best / "report.html").read_text().count("image/png")
    seed = json.loads((other / "summary.json").read_bytes())["config"]["seed"]
    assert f"s{seed} on files" in page
    assert f"seed={seed}" in page
    assert not (third / "report.html").exists()

    # Given the sweep's folder, the jobs that have no report yet get one. The current folder may be
    # another than that of the outputs.
    done = run(f"report={other.parent}", cwd=here.parent)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"report    {os.path.relpath(third, here.parent)}/report.html\n"


def test_a_report_of_a_job_has_the_pictures_of_a_single_run(here: Path) -> None:
    other = jobs_of(here)[1]
    assert run(f"report={other}", cwd=here).returncode == 0
    seed = json.loads((other / "summary.json").read_bytes())["config"]["seed"]
    single = [text for text in SWEEP if text not in ("-m", "seed=range(3)")]
    assert run(*single, f"seed={seed}", cwd=here).returncode == 0
    (alone,) = here.glob("outputs/runs/*/*")
    own, swept = artifacts_of(alone, here), artifacts_of(other, here)
    assert not own["summary.json"].samefile(alone / "summary.json")  # its user may edit it
    assert set(own) - set(swept) == {"vectors.npy", "outside_vectors.npy", "vocabulary.tsv"}
    same = [name for name in own if name.endswith((".png", ".csv", ".parquet"))]
    assert {"loss.png", "map-pca.png", "zipf.png", "pairs.csv", "neighbours.parquet"} <= set(same)
    assert all(own[name].read_bytes() == swept[name].read_bytes() for name in same)


def test_artifacts_from_the_cache_are_no_second_copy(here: Path) -> None:
    made = json.loads((jobs_of(here)[1] / "summary.json").read_bytes())
    evaluated = Path(made["stages"]["evaluate"]["path"])
    done = run(*SWEEP[:-1], f"seed={made['config']['seed']}", "report=none", cwd=here)
    assert done.returncode == 0
    job = sorted(here.glob("outputs/sweeps/*/*"))[-1] / "0"
    table = artifacts_of(job, here)["neighbours.csv"]
    assert table.samefile(here / evaluated / "neighbours.csv")
    assert artifacts_of(job, here)["summary.json"].samefile(job / "summary.json")


def test_a_report_shows_the_scores_of_the_job_or_is_refused(tmp_path: Path) -> None:
    write_text(tmp_path)
    (tmp_path / "pairs.tsv").write_text("cat\tdog\t5\nking\tqueen\t4\nparis\trug\t1\n")
    own = ("evaluate.similarity={e: pairs.tsv}", "evaluate.map=[]", "report=none", "tracking=none")
    assert run(*SWEEP[:-1], *own, "seed=range(2)", cwd=tmp_path).returncode == 0
    (tmp_path / "pairs.tsv").write_text("cat\tdog\t1\nking\tqueen\t4\nparis\trug\t5\n")
    job = jobs_of(tmp_path)[0]
    done = run(f"report={job}", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "error: evaluate.similarity: a file has changed since the scores of this run were made; "
        "start the run again for scores of the new content\n",
    )
    assert not (job / "report.html").exists()


def write_single_run(here: Path) -> Path:
    """Make a folder like that of a run outside a sweep, with a summary; return the folder.

    `here` is a working directory with the outputs of a sweep, from which the summary is copied.
    """
    folder = here / "outputs" / "runs" / "2026-01-31" / "12-00-00-123456"
    folder.mkdir(parents=True)
    shutil.copy(jobs_of(here)[0] / "summary.json", folder)
    return folder


def test_what_has_no_report_is_refused(here: Path) -> None:
    best, other, _ = jobs_of(here)
    single = write_single_run(here)
    wanted = (
        "must be best, all or none or, as the only argument, a folder of a sweep or of a job of "
        "one that has scores; a single run has its report\n"
    )
    for folder in ("nowhere", "outputs", single, single.parent):
        done = run(f"report={folder}", cwd=here)
        missing = "no such folder; " if folder == "nowhere" else ""
        assert (done.returncode, done.stderr) == (2, f"error: report={folder}: {missing}{wanted}")
    done = run(f"++report={single}", cwd=here)
    assert (done.returncode, done.stderr) == (2, f"error: report={single}: {wanted}")
    for setting in ("seed=3", "report=best"):
        done = run(f"report={best}", setting, cwd=here)
        assert done.returncode == 2
        wanted = f"error: {setting}: report=<folder> takes the settings of the run"
        assert done.stderr.startswith(wanted)
    shutil.rmtree(here / "outputs" / "cache" / "evaluate")
    done = run(f"report={other}", cwd=here)
    assert done.returncode == 2
    assert "the cache no longer holds all results of this run; its command" in done.stderr
