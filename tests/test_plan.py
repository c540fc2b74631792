"""Test ``plan=true``, which prints what a run would compute and why, and computes nothing."""

import contextlib
import io
import json
import math
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from pipeline.cache.command import prune
from pipeline.cache.store import Entry, code_path
from pipeline.plan import Planner, Step, plan_run, show
from pipeline.runtime.console import Display
from pipeline.runtime.signals import StopRequest
from pipeline.stages import base
from pipeline.stages.base import Context, Expected
from pipeline.stages.train import Train
from pipeline.tracking import Tracker
from tests.commands import SMALL, TEXT, run
from tests.test_config import settled
from tests.test_hashes import an_hour_later
from w2v import hashes
from w2v import manifest_differences as differences
from w2v.losses import NegativeSampling, Softmax
from w2v.objectives import Cbow, SkipGram
from w2v.source_code import source_digests
from w2v.training.checkpoint import Checkpoints, Snapshot
from w2v.training.cost import objective_of, relative_cost

TOKENIZER = """
import numpy
from helper_of_plan import parts
def tokens(text):
    return parts(text)
"""
HELPER = "def parts(text):\n    return text.split()\n"
GIVEN = (
    *("corpus=files", "corpus.path=texts", *SMALL[2:], "tracking=none", "evaluate.map=[]"),
    *("tokenizer.function=tokenizer_of_plan.tokens", "vocab.drop=drop.txt"),
    "evaluate.similarity={pairs:pairs.csv,wordsim353:null,simlex999:null}",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with texts, other input files, and the cached results of two runs."""
    folder = tmp_path_factory.mktemp("plan")
    (folder / "texts").mkdir()
    for name, repeats in (("a.txt", 20), ("b.txt", 21)):
        (folder / "texts" / name).write_text("\n".join(TEXT * repeats) + "\n")
    (folder / "tokenizer_of_plan.py").write_text(TOKENIZER)
    (folder / "helper_of_plan.py").write_text(HELPER)
    (folder / "drop.txt").write_text("the\n")
    (folder / "words.txt").write_text("cat\ndog\nking\nqueen\nmat\nrug\n")
    (folder / "pairs.csv").write_text("cat,dog,8\nking,queen,9\nmat,rug,5\nking,rug,1\n")
    with an_hour_later():
        for more in ((), ("model.window=3", "seed=7")):
            done = run(*GIVEN, *more, cwd=folder)
            assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Iterator[Path]:
    """Yield a copy of the folder `made`, which has a module with a custom tokenizer.

    The module is imported from the current folder, so a test must change to the copy before it runs
    a command that needs the module.
    """
    shutil.copytree(made, tmp_path / "copy", copy_function=shutil.copy2)
    forget_modules()
    with mock.patch("sys.path", ["", *sys.path]):
        yield tmp_path / "copy"
    forget_modules()


def forget_modules() -> None:
    """Remove the custom tokenizer's modules from `sys.modules`, so that they are imported anew.

    Each test has its own copy of the files of these modules, and must import that copy.
    """
    for name in ("tokenizer_of_plan", "helper_of_plan"):
        sys.modules.pop(name, None)


def plan(folder: Path, *more: str, status: int = 3) -> dict[str, str]:
    """Return what ``plan=true`` prints for each stage: "cached", or why it would be computed.

    The command runs in `folder`, with the settings `GIVEN` and `more`. `status` is the expected
    exit status: 3, or 0 if all stages are cached.
    """
    runs = sorted(folder.glob("outputs/*/*/*"))
    done = run(*GIVEN, "plan=true", *more, cwd=folder)
    assert (done.returncode, done.stderr) == (status, "")
    assert sorted(folder.glob("outputs/*/*/*")) == runs
    return steps_in(done.stdout)


def steps_in(printed: str) -> dict[str, str]:
    lines = re.findall(r"^  (\w+) +(.*?)(?:  \(.*)?$", printed, re.MULTILINE)
    return {name: line.removeprefix("to make: ") for name, line in lines}


def plan_without_command(folder: Path, *more: str) -> dict[str, str]:
    """Return what ``plan=true`` prints for each stage: "cached", or why it would be computed.

    Like the function `plan` of this file, but call `plan_run` directly, which is faster than the
    whole command ``pipeline/run.py``. `more` are settings added to `GIVEN`, such as
    "vocab.min_count=2". At least one stage must be left to compute.
    """
    out = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out):
        assert plan_run(settled(*GIVEN, "plan=true", *more), folder / "no run") == 3
    return steps_in(out.getvalue())


CHANGES = {
    "corpus.unit=paragraph": ("tokenize", "corpus.unit is paragraph, not line"),
    "corpus.limit=50": ("tokenize", "corpus.limit is 50, not null"),
    "corpus.path=texts/a.txt": ("tokenize", "texts/b.txt is gone"),
    "corpus.path=[texts/b.txt,texts/a.txt]": (
        "tokenize",
        "the files are read in another order",
    ),
    "tokenizer.lowercase=false": ("tokenize", "tokenizer.lowercase is false, not true"),
    "tokenizer=whitespace": ("tokenize", "tokenizer is whitespace, not words"),
    "tokenizer.phrases.passes=1": ("tokenize", "tokenizer.phrases.passes is 1, not 0"),
    "vocab.min_count=2": ("vocab", "vocab.min_count is 2, not 1"),
    "vocab.words=words.txt": ("vocab", "vocab.words is a file, not null"),
    "vocab.keep=[cat]": ("vocab", "vocab.keep is [cat], not []"),
    "model.dim=9": ("train", "model.dim is 9, not 8"),
    "model.subsample=0": ("train", "model.subsample is 0.0, not 0.001"),
    "loss.negatives=6": ("train", "loss.negatives is 6, not 5"),
    "loss=softmax": ("train", "loss is softmax, not negsample"),
    "model=cbow engine=numpy": ("train", "engine is numpy, not numba; model is cbow, not skipgram"),
    "engine=numpy": ("train", "engine is numpy, not numba"),
    "train.lr=0.05": ("train", "train.lr is 0.05, not 0.025"),
    "train.bootstrap=true": ("train", "train.bootstrap is true, not false"),
    "seed=3": ("train", "seed is 3, not 0"),
    "seed=7 model.window=4": ("train", "model.window is 4, not 3"),
    "evaluate.oov=zero": ("evaluate", "evaluate.oov is zero, not skip"),
    "evaluate.analogy.google=null": ("evaluate", "evaluate.analogy.google is left out"),
    "evaluate.neighbours=3": ("evaluate", "evaluate.neighbours is 3, not 10"),
}
STAGES = ("tokenize", "vocab", "train", "evaluate")
ANEW = {
    "tokenize": {
        "vocab": "tokenize is made anew",
        "train": "tokenize and vocab are made anew",
        "evaluate": "train is made anew",
    },
    "vocab": {"train": "vocab is made anew", "evaluate": "train is made anew"},
    "train": {"evaluate": "train is made anew"},
    "evaluate": {},
}


def expected(stage: str, reason: str) -> dict[str, str]:
    """Return the plan, by stage, of a run that must compute `stage` anew for the given reason.

    Earlier stages are "cached"; the reason of later ones is that an earlier one is computed.
    """
    before = dict.fromkeys(STAGES[: STAGES.index(stage)], "cached")
    return {**before, stage: reason, **ANEW[stage]}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_setting_is_the_reason(folder: Path, change: str) -> None:
    assert plan_without_command(folder, *change.split()) == expected(*CHANGES[change])


def test_what_changes_nothing_is_cached_and_reads_no_text(folder: Path) -> None:
    assert plan(folder, "engine.threads=1", status=0) == dict.fromkeys(STAGES, "cached")
    with an_hour_later():
        plan(folder, status=0)  # the copies are new files, which are hashed once
        with mock.patch.object(hashes, "READ_BYTES", "nothing must be read"):
            assert plan(folder, status=0) == dict.fromkeys(STAGES, "cached")


@pytest.mark.parametrize(
    ("name", "content", "stage", "reason"),
    [
        ("texts/b.txt", "another text\n", "tokenize", "texts/b.txt has changed"),
        ("texts/c.txt", "a new text\n", "tokenize", "texts/c.txt is new"),
        ("texts/a.txt", None, "tokenize", "texts/a.txt is gone"),
        ("drop.txt", "the\na\n", "vocab", "the content of vocab.drop has changed"),
        (
            *("pairs.csv", "cat,dog,8\nking,queen,9\n", "evaluate"),
            "the content of evaluate.similarity.pairs has changed",
        ),
        (
            *("tokenizer_of_plan.py", TOKENIZER + "# more\n", "tokenize"),
            "the code of tokenizer.function has changed",
        ),
        (
            *("helper_of_plan.py", HELPER + "# more\n", "tokenize"),
            "the code of tokenizer.function has changed",
        ),
    ],
)
def test_a_changed_file_is_the_reason(
    folder: Path, name: str, content: str | None, stage: str, reason: str
) -> None:
    path = folder / name
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    assert plan_without_command(folder) == expected(stage, reason)


def test_the_command_plans_the_same(folder: Path) -> None:
    more = ("vocab.keep=[cat]", "loss=softmax")
    assert plan(folder, *more) == plan_without_command(folder, *more)


def test_touched_files_are_read_and_found_unchanged(folder: Path) -> None:
    for path in (folder / "texts").iterdir():
        path.write_bytes(path.read_bytes())
    assert plan(folder, status=0)["tokenize"] == "cached"


def test_other_words_of_a_list_are_the_reason(folder: Path) -> None:
    run(*GIVEN, "vocab.words=words.txt", cwd=folder)
    (folder / "words.txt").write_text("cat\ndog\nking\nqueen\n")
    reason = "the content of vocab.words has changed"
    assert plan(folder, "vocab.words=words.txt") == expected("vocab", reason)


def test_changed_code_is_the_reason(folder: Path) -> None:
    digests = source_digests

    def changed(module: str, *others: object) -> dict[str, str]:
        found = digests(module, *others)  # type: ignore[arg-type]
        return {**found, "w2v/engines/compiled/loop.py": "0" * 16} if "train" in module else found

    base.code_of.cache_clear()
    with mock.patch.object(base, "source_digests", changed):
        found = plan(folder)
    base.code_of.cache_clear()
    assert found == expected("train", "the code has changed: w2v/engines/compiled/loop.py")


def test_a_result_that_reads_another_cached_one(folder: Path) -> None:
    only = "stages=[tokenize,vocab]"
    assert run(*GIVEN, "vocab.min_count=2", only, cwd=folder).returncode == 0
    assert plan(folder, "vocab.min_count=2") == expected("train", "vocab.min_count is 2, not 1") | {
        "evaluate": "train is made anew"
    }


def test_a_training_that_continued_has_the_seconds_of_all_its_epochs() -> None:
    config, tokens = settled(*SMALL), {"size": 50, "tokens_kept": 1000}
    entries = {
        "tokenize": Entry("", Path(), True, 0.0, {"documents": 9}, {}),
        "vocab": Entry("", Path(), True, 0.0, tokens, {}),
    }
    context = Context(config, Display(), Tracker(), StopRequest(), 1, 1, entries=entries)
    past = {
        "settings": config.as_dict(),
        "files": {"vectors.npy": {"bytes": 4 * 50 * config.model.dim}},
        "facts": {"words": 1000 * config.train.epochs, "seconds": 20.0},
    }
    for seconds, expected in ((2.0, 20.0), (25.0, 25.0)):
        assert Train().expect(context, {**past, "seconds": seconds}).seconds == expected


def trained(folder: Path) -> Path:
    """Return the folder of the cached training with the seed 0."""
    paths = folder.glob("outputs/cache/train/*/manifest.json")
    (found,) = [p.parent for p in paths if json.loads(p.read_bytes())["settings"]["seed"] == 0]
    return found


def test_damage_and_interruptions_are_told(folder: Path) -> None:
    train = trained(folder)
    (train / "vectors.npy").write_bytes(b"")
    damage = plan(folder)["train"]
    assert damage.startswith("the result is damaged (vectors.npy has 0 bytes")
    shutil.rmtree(train)
    (folder / "outputs" / "checkpoints" / train.name).mkdir(parents=True)
    assert plan(folder)["train"].startswith("it was interrupted, and goes on from its checkpoint")


def train_step(folder: Path, *more: str) -> tuple[str, float]:
    """Return why a run in `folder` would train, and the seconds that this is expected to take.

    This is what the setting ``plan=true`` prints for the training stage, without running it. The
    settings are `GIVEN` and `more`, such as "train.epochs=4". If the result of the training is in
    the cache, the reason is an empty string. If the time is unknown, it is 0.
    """
    with contextlib.chdir(folder):
        steps = {step.stage: step for step in Planner().plan(settled(*GIVEN, *more))}
    return steps["train"].why, steps["train"].expected.seconds or 0.0


def test_what_is_left_of_an_interrupted_training_is_planned(folder: Path) -> None:
    train = trained(folder)
    words = json.loads((train / "manifest.json").read_bytes())["facts"]["words"]
    shutil.rmtree(train)
    _, whole = train_step(folder)
    checkpoints = Checkpoints(folder / "outputs" / "checkpoints" / train.name)
    checkpoints.save("", 0, Snapshot({"words": words / 4}, {}))
    why, left = train_step(folder)
    assert why.startswith("it was interrupted, and goes on from its checkpoint; ")
    assert left == pytest.approx(0.75 * whole, rel=0.05)
    (checkpoints.folder / "00000001" / "state.json").write_bytes(b"{}")
    assert train_step(folder)[1] == whole


def test_more_epochs_are_planned_from_those_there_are(folder: Path) -> None:
    only = ("stages=[train]", "train.decay_epochs=8")
    assert run(*GIVEN, *only, "train.epochs=3", cwd=folder).returncode == 0
    why, left = train_step(folder, *only, "train.epochs=4")
    assert why == "it goes on from 3 epochs; train.epochs is 4, not 3"
    with mock.patch.object(Train, "fewer_epochs", return_value=None):
        why, whole = train_step(folder, *only, "train.epochs=4")
    assert why == "train.epochs is 4, not 3"
    assert left == pytest.approx(whole / 4)
    assert train_step(folder, "train.epochs=4")[0].startswith("train.epochs is 4")


def test_what_was_made_from_damaged_content_is_made_anew(folder: Path) -> None:
    path = trained(folder) / "vectors.npy"
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    reason = "the result is damaged (vectors.npy is not as it was written)"
    assert plan(folder, "cache.verify=sha256") == expected("train", reason)
    done = run(*GIVEN, "cache.verify=sha256", cwd=folder)
    assert "made from it are moved aside, too: 1 of evaluate, 1 of report\n" in done.stdout
    assert "scores and tables  (cached)" not in done.stdout
    plan(folder, "cache.verify=sha256", status=0)


def test_a_report_whose_plots_are_gone_is_work(folder: Path) -> None:
    prune(folder / "outputs", ["report"], older=0, to=math.inf, dry=False)
    reason = "its plots are missing: scores are made again"
    found = plan(folder)
    assert found == {**dict.fromkeys(STAGES, "cached"), "report": reason}
    assert plan_without_command(folder) == found
    assert set(plan(folder, "stages=[train]", status=0).values()) == {"cached"}
    run(*GIVEN, cwd=folder)
    plan(folder, status=0)


def test_a_first_plan_has_no_result_to_compare_with(folder: Path) -> None:
    shutil.rmtree(folder / "outputs")
    assert plan(folder) == {
        "tokenize": "there is no result yet",
        "vocab": "tokenize is made anew",
        "train": "tokenize and vocab are made anew",
        "evaluate": "train is made anew",
    }
    assert [path.name for path in (folder / "outputs").iterdir()] == ["hashes.db"]
    done = run(*GIVEN, "plan=true", "stages=[train]", cwd=folder)
    assert done.returncode == 2
    assert "tokenize is left out, and the cache does not hold its result" in done.stderr


def test_a_sweep_is_planned_job_by_job(folder: Path) -> None:
    sweep = ("-m", "model.window=3,5", "seed=0,7")
    done = run(*GIVEN, "plan=true", *sweep, cwd=folder)
    assert (done.returncode, done.stderr) == (3, "")
    assert not (folder / "outputs" / "sweeps").exists()
    jobs = re.split(r"^job \d+  ", done.stdout, flags=re.MULTILINE)[1:]
    heads = [job.split("\n")[0] for job in jobs]
    assert [head.split()[:2] for head in heads] == [
        [f"model.window={window}", f"seed={seed}"] for window in (3, 5) for seed in (0, 7)
    ]
    trained = ["train" in job for job in jobs]
    assert trained == [True, False, False, True]  # windows 3 and 5 were trained with one seed each
    assert "model.window is 3, not 5" in jobs[0] or "seed is 0, not 7" in jobs[0]
    assert "evaluate  to make: tables.kept is neighbours.csv, not all" in jobs[1]
    run(*GIVEN, *sweep, cwd=folder)
    again = run(*GIVEN, "plan=true", *sweep, cwd=folder)
    assert (again.returncode, again.stderr) == (0, "")
    assert "everything is in the cache" in again.stdout


def test_jobs_that_share_a_result_make_it_once(folder: Path) -> None:
    done = run(*GIVEN, "plan=true", "-m", "vocab.min_count=2", "seed=0,7", cwd=folder)
    first, second = done.stdout.split("job 1 ")
    assert "vocab     to make: vocab.min_count is 2, not 1" in first
    assert "vocab     made by job 0" in second


def test_a_plan_for_slurm_needs_no_slurm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    done = run(*GIVEN, "plan=true", "-m", "hydra/launcher=slurm", "seed=0,7", cwd=folder)
    assert (done.returncode, done.stderr) == (3, "")


@pytest.mark.parametrize(
    ("seconds", "line"),
    [(None, "train, of which there is no time yet;"), (120, "about 60.0 s, 2 at a time;")],
)
def test_the_time_of_jobs_that_run_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seconds: float | None, line: str
) -> None:
    steps = [Step("train", "there is no result yet", Expected(seconds))]
    assert show(Display(), {"job 0": steps}, tmp_path, at_once=2) == 3
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"in all    {line}")


def test_a_plan_divides_by_no_more_jobs_than_there_are(folder: Path) -> None:
    many = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=16")
    done = run(*GIVEN, "plan=true", "-m", *many, "seed=0,77", "train.lr=0.05", cwd=folder)
    assert ", 2 at a time; " in done.stdout


@pytest.mark.parametrize("search", ["halving", "optuna"])
def test_a_search_cannot_be_planned(folder: Path, search: str) -> None:
    done = run(*GIVEN, "plan=true", "-m", f"search={search}", "seed=0,1", cwd=folder)
    assert done.returncode == 2
    assert "plan=true: needs search=grid" in done.stderr


def test_bad_settings_are_refused_as_in_a_run(folder: Path) -> None:
    done = run(*GIVEN, "plan=true", "vocab.words=nowhere.txt", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.startswith("error: vocab.words=nowhere.txt")


def test_files_that_differ() -> None:
    old = {"a": "1", "b": "2", "c": "3"}
    for new, lines in (
        ({**old, "a": "9"}, ["a has changed"]),
        ({**old, "a": "9", "b": "9", "d": "4"}, ["a, b have changed", "d is new"]),
        ({"a": "1"}, ["b, c are gone"]),
        ({"x": "1"}, ["other files are read: x"]),
        (dict.fromkeys("abcdefg", "9"), ["a, b, c have changed", "d, e, f and 1 more are new"]),
        ({c: old[c] for c in "cba"}, ["the files are read in another order"]),
    ):
        assert list(differences.file_reasons(new, old)) == lines


def test_entries_that_are_no_manifests_are_left_out(tmp_path: Path) -> None:
    for name, text in (("a1", "{}"), ("b2", "no JSON"), ("c3", "[1]"), (".part", "{}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(text)
    whole = {"settings": {"x": {"y": 1}}, "upstream": {}, "facts": {}}
    (tmp_path / "d4").mkdir()
    (tmp_path / "d4" / "manifest.json").write_text(json.dumps(whole))
    assert differences.read_manifests(tmp_path, "manifest.json", code_path) == [whole]
    assert differences.read_manifests(tmp_path / "nowhere", "manifest.json", code_path) == []
    wanted = {"settings": {"x": {"y": 2}}, "upstream": {}, "code": {}}
    assert list(differences.reasons(wanted, whole)) == [
        "x.y is 2, not 1",
        "it was made by an earlier version of the program",
    ]


def test_costs_grow_as_the_arithmetic_does() -> None:
    plain = SkipGram(dim=100, window=5, loss=NegativeSampling(negatives=5))
    cost = relative_cost(plain, 1000)
    assert relative_cost(SkipGram(dim=200, window=5, loss=plain.loss), 1000) == 2 * cost
    eleven = SkipGram(dim=100, window=5, loss=NegativeSampling(negatives=11))
    assert relative_cost(eleven, 1000) == 2 * cost
    assert relative_cost(plain, 5000) == cost
    softmax = SkipGram(dim=100, loss=Softmax())
    assert relative_cost(softmax, 5000) == 5 * relative_cost(softmax, 1000) > cost
    assert relative_cost(Cbow(dim=100, window=5), 1000) < cost
    described = {"name": "skipgram", "dim": 100, "window": 5}
    assert objective_of(described, {"name": "negsample", "negatives": 5}, seed=3) == plain
