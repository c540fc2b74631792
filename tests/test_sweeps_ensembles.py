"""Test the HTML pages that compare trainings.

``ensemble.html`` compares the seeds of a sweep. ``change.html`` compares the vectors of a run or a
sweep with those of another text.
"""

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.commands import BARE, SMALL, TEXT, run, write_text
from w2v import Ensemble, InputError
from w2v.vectors import find_runs

GIVEN = (*SMALL, *BARE, "tracking=none")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_text(tmp_path_factory.mktemp("ensembles"))
    done = run(*SMALL, *BARE[:-1], "tracking=none", "-m", "seed=0,1,2", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def sweep_in(folder: Path, number: int = 0) -> Path:
    """Return the folder of sweep `number`, counted from 0 in the order in which sweeps started."""
    return sorted(folder.glob("outputs/sweeps/*/*"))[number]


def test_a_sweep_over_seeds_has_a_page_and_a_map(swept: Path) -> None:
    folder = sweep_in(swept)
    text = (folder / "ensemble.html").read_text()
    assert "Word vectors, 3 trainings as one" in text
    assert "The trainings differ only in their seed" in text
    assert (folder / "ensemble-map.html").exists()
    ensemble = Ensemble.load(find_runs(folder))
    assert len(ensemble) == 3
    assert 0 < ensemble.similarity("king", "queen").high <= 1


def test_two_texts_are_compared_by_their_sweeps(swept: Path) -> None:
    first = sweep_in(swept)
    (swept / "other.txt").write_text("\n".join([*TEXT[:2], *TEXT] * 25) + "\n")
    other = ("corpus.path=other.txt", f"evaluate.compare={first.relative_to(swept)}")
    done = run(*GIVEN, *other, "-m", "seed=0,1", "report=best", cwd=swept)
    assert done.returncode == 0, done.stderr
    page = sweep_in(swept, -1) / "change.html"
    assert page.name in done.stdout
    assert "(3 trainings). After: <bdi>files</bdi> (2 trainings)" in page.read_text()
    assert not (sweep_in(swept, -1) / "ensemble-map.html").exists()
    single = run(*GIVEN, *other, "seed=5", cwd=swept)
    assert single.returncode == 0, single.stderr
    (page,) = swept.glob("outputs/runs/*/*/change.html")
    assert os.path.relpath(page, swept) in single.stdout
    assert "(1 training)" in page.read_text()
    assert 'href="change.html"' in (page.parent / "report.html").read_text()


def test_trainings_on_samples_are_not_compared_with_those_on_the_text(swept: Path) -> None:
    first = sweep_in(swept).relative_to(swept)
    given = (*GIVEN, f"evaluate.compare={first}")
    problem = (
        f"evaluate.compare={first}: was trained with train.bootstrap=false, and this run has "
        "train.bootstrap=true; the effect of chance is only known where both are the same\n"
    )
    made = sorted(swept.glob("outputs/cache/*/*"))
    done = run(*given, "train.bootstrap=true", cwd=swept)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {problem}")
    done = run(*given, "-m", "train.bootstrap=false,true", cwd=swept)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(problem)
    assert sorted(swept.glob("outputs/cache/*/*")) == made


def test_jobs_that_differ_in_more_than_the_seed_are_no_ensemble(
    swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(swept)  # paths of vectors are relative
    folder = tmp_path / "sweep"
    shutil.copytree(sweep_in(swept), folder)
    summary = folder / "1" / "summary.json"
    text = summary.read_text()
    for old, new in (('"processes": null', '"processes": 1'), ('"threads": null', '"threads": 2')):
        assert old in text
        summary.write_text(text.replace(old, new))
        assert len(find_runs(folder)) == 3
    summary.write_text((folder / "0" / "summary.json").read_text())
    assert len(find_runs(folder)) == 2  # two jobs have the same vectors
    for group, old, new in (
        ("cluster", '"workers": 1', '"workers": 2'),
        ("engine", '"name": "numba"', '"name": "numpy"'),
        ("model", '"window": 5', '"window": 6'),
    ):
        assert old in text
        summary.write_text(text.replace(old, new))
        with pytest.raises(InputError, match=rf"differ in more than the seed \(in {group}\)"):
            find_runs(folder)
    done = run(*GIVEN, f"evaluate.compare={folder}", cwd=swept)
    assert done.returncode == 2
    assert re.match("error: evaluate.compare=.*differ in more than the seed", done.stderr)


def test_a_page_that_cannot_be_made_costs_a_warning(swept: Path) -> None:
    few = (*GIVEN, "vocab.max_size=5", f"evaluate.compare={sweep_in(swept)}")
    done = run(*few, "-m", "seed=0,1", "search.objective=loss", cwd=swept)
    assert "have no page of their own: 5 words occur 20 times or more in both texts" in done.stderr
    assert done.returncode == 0
    done = run(*few, cwd=swept)
    assert "warning: there is no change.html: 5 words occur" in done.stderr
    assert done.returncode == 0
    report = max(swept.glob("outputs/runs/*/*/report.html")).read_text()
    assert "nearest neighbours of" in report
    assert "change.html" not in report
