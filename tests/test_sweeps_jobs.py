"""Test the jobs of a sweep.

The tests check which jobs are planned, how a failure is recorded, which values of
``search.objective`` are refused, and how a search treats trials that were killed.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf, read_write

from pipeline.config import schema
from pipeline.sweeps import show
from pipeline.sweeps.grid import plan_jobs
from pipeline.sweeps.job import JobContext, run_job
from pipeline.sweeps.launchers import run_jobs
from pipeline.sweeps.objective import CHANGES_LOSS, check_objective, compare_jobs, incomparable
from pipeline.sweeps.results import JOB, SWEEP, read_jobs, write_json
from pipeline.sweeps.search import resume, storage_errors, storage_url, study_name
from tests.commands import ROOT, run, write_text
from tests.test_config import BASE, settled
from w2v.errors import InputError
from w2v.report.sweep_text import sweep_markdown


def test_a_setting_that_a_choice_lacks_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    schema.register()
    with initialize_config_dir(str(ROOT / "conf"), **BASE):
        config = compose("config", return_hydra_config=True)
        with read_write(config):
            config.hydra.overrides.task = ["loss=negsample,softmax", "loss.negatives=2,3"]
        jobs = plan_jobs(config, GlobalHydra.instance().config_loader())
    assert [*jobs] == [
        ("loss=negsample", "loss.negatives=2"),
        ("loss=negsample", "loss.negatives=3"),
        ("loss=softmax",),
    ]
    assert "loss.negatives is left out where loss=softmax" in capsys.readouterr().out


def test_what_is_left_out_is_said_with_the_experiment_that_lacks_it(tmp_path: Path) -> None:
    folder = write_text(tmp_path) / "conf" / "experiment"
    folder.mkdir(parents=True)
    for loss in ("negsample", "softmax"):
        text = f"# @package _global_\ndefaults: [{{override /loss: {loss}}}]\n"
        (folder / f"{loss}_only.yaml").write_text(text)
    given = ("--config-dir=conf", "experiment=negsample_only,softmax_only", "loss.negatives=2,3")
    done = run("-m", "corpus=files", "corpus.path=text.txt", *given, "plan=true", cwd=tmp_path)
    line = "loss.negatives is left out where experiment=softmax_only, which has no such setting\n"
    assert done.stdout.startswith(line), done.stderr


def jobs_of(conf: Path, params: dict[str, Any], *given: str) -> list[tuple[str, ...]]:
    """Plan a sweep, and return the overrides of each job.

    `params` are the ``hydra.sweeper.params`` of an experiment, whose file is written to `conf`, and
    `given` are further arguments of the command line.
    """
    path = conf / "experiment" / "mine.yaml"
    write_json(path, {"hydra": {"sweeper": {"params": params}}})
    path.write_text(f"# @package _global_\n{path.read_text()}")
    schema.register()
    task, hydra = ["experiment=mine", *given], [f"hydra.searchpath=[file://{conf}]"]
    with initialize_config_dir(str(ROOT / "conf"), **BASE):
        config = compose("config", [task[0], *hydra], return_hydra_config=True)
        with read_write(config):
            config.hydra.overrides.task, config.hydra.overrides.hydra = task, hydra
        return [*plan_jobs(config, GlobalHydra.instance().config_loader())]


def test_a_null_among_the_values_of_an_experiment_stays_null(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    assert jobs_of(tmp_path, {"train.patience": None, "train.bootstrap": True}) == [
        ("train.patience=null", "train.bootstrap=True", "experiment=mine")
    ]


def test_a_tab_may_stand_between_the_values_of_an_experiment(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    assert jobs_of(tmp_path, {"model.window": "2,\t3"}) == [
        (f"model.window={window}", "experiment=mine") for window in (2, 3)
    ]


def test_an_experiment_may_vary_what_the_chosen_group_lacks(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    params = {"model": "skipgram,cbow", "model.context_gradient": "exact,word2vec"}
    assert len(jobs_of(tmp_path, params)) == 3
    assert jobs_of(tmp_path, params, "model=skipgram") == [("model=skipgram", "experiment=mine")]
    with pytest.raises(InputError, match="context_gradient: no such setting here; it belongs to"):
        jobs_of(tmp_path, params, "model=skipgram", "model.context_gradient=exact")
    with pytest.raises(InputError, match=r"model\.typo: no such setting here"):
        jobs_of(tmp_path, {"model.typo": "1,2"}, "model=skipgram")


def test_every_status_of_a_job(tmp_path: Path) -> None:
    first, second = ({"overrides": [f"a={i}"], "choices": {}, "settings": {}} for i in (1, 2))
    failure = {"kind": "crashed", "reason": "MemoryError"}
    left: tuple[dict[str, Any], ...] = ({"job": first}, {"job": second, "failure": failure})
    for number, files in enumerate(left):
        (tmp_path / str(number)).mkdir()
        for name, content in files.items():
            (tmp_path / str(number) / f"{name}.json").write_text(json.dumps(content))
    jobs = read_jobs(tmp_path, [["a=1"], ["a=2"], ["a=3"]])
    assert [(j.number, j.status, j.settings["a"]) for j in jobs] == [
        (0, "killed", 1),
        (1, "crashed", 2),
        (2, "missing", 3),
    ]
    result = compare_jobs("heldout_loss", jobs)
    facts = {"command": "c", "sweep_dir": "d", "seconds": 1.0, "error": None}
    summary = show.write_results(tmp_path, result, facts)
    assert summary["counts"] == {"killed": 1, "crashed": 1, "missing": 1}
    assert summary["best"] == []
    assert "MemoryError" in sweep_markdown(
        result, summary["configurations"], "", show.failures_of(result)
    )
    assert not list(tmp_path.glob("*.png"))


def test_a_job_whose_record_was_lost_with_its_process_runs_again(tmp_path: Path) -> None:
    write_json(tmp_path / SWEEP, {"mlflow_run_id": "s"})
    launched: list[tuple[list[Sequence[str]], int]] = []

    class Breaks:
        """A launcher whose first call fails after two jobs, one of which is not recorded yet."""

        def launch(self, jobs: list[Sequence[str]], initial_job_idx: int) -> None:
            launched.append((jobs, initial_job_idx))
            if len(launched) == 1:
                for number in ("0", "1"):
                    (tmp_path / number).mkdir()
                    write_json(tmp_path / number / JOB, {"finished": True})
                (tmp_path / ".running").mkdir()
                (tmp_path / ".running" / "s.1.abc.lock").touch()
                raise RuntimeError("a process was killed")

    launcher: Any = Breaks()
    run_jobs(launcher, tmp_path, tmp_path, [["seed=0"], ["seed=1"], ["seed=2"]], range(3))
    assert launched == [
        ([["seed=0"], ["seed=1"], ["seed=2"]], 0),
        ([["seed=2"]], 2),
        ([["seed=1"]], 1),
    ]


def job_in(folder: Path) -> JobContext:
    return JobContext(
        folder=folder,
        number=3,
        overrides=["seed=1"],
        choices={},
        swept=["seed"],
        parent=None,
        objective="heldout_loss",
        cores=1,
    )


@pytest.mark.parametrize("error", [MemoryError(), ValueError("odd"), RecursionError("deep")])
def test_a_job_that_crashes_is_written_down(
    tmp_path: Path,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    context = job_in(tmp_path)

    def crash(*_: object) -> Any:
        raise error

    monkeypatch.setattr("pipeline.config.schema.resolve", crash)
    assert run_job(context, OmegaConf.create(), crash) is None
    failure = json.loads((tmp_path / "failure.json").read_bytes())
    assert failure["kind"] == "crashed"
    assert failure["reason"].startswith(type(error).__name__)
    assert capsys.readouterr().err == f"error: job 3 (seed=1): {failure['reason']}\n"


def test_a_job_that_is_stopped_by_a_file_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = job_in(tmp_path / "3")
    context.folder.mkdir()

    def interrupt(*_: object) -> dict[str, Any]:
        if stopped_by_file:
            context.stop_file.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.config.schema.resolve", interrupt)
    stopped_by_file = False
    with pytest.raises(KeyboardInterrupt):
        run_job(context, OmegaConf.create(), interrupt)
    stopped_by_file = True
    assert run_job(context, OmegaConf.create(), interrupt) is None
    assert json.loads((context.folder / "failure.json").read_bytes())["kind"] == "killed"
    (context.folder / JOB).unlink()
    assert run_job(context, OmegaConf.create(), interrupt) is None
    assert not (context.folder / JOB).exists(), "the job has started"


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
def test_an_objective_that_a_run_will_not_have_is_refused(
    objective: str, overrides: tuple[str, ...], line: str
) -> None:
    with pytest.raises(InputError) as refusal:
        check_objective(settled(*overrides), objective)
    assert str(refusal.value).startswith(f"search.objective={objective}: ")
    assert line in str(refusal.value)


def test_settings_that_change_what_a_loss_measures() -> None:
    assert {
        *("loss", "loss.negatives", "loss.exponent"),
        *("model.window", "model.dynamic_window", "model.subsample", "train.heldout"),
    } <= set(CHANGES_LOSS)
    assert not {"model.dim", "train.lr", "seed", "loss.logits_mb"} & set(CHANGES_LOSS)


@pytest.mark.parametrize(
    ("objective", "keys"),
    [
        ("seconds", []),
        ("similarity/x/spearman", ["evaluate", "evaluate.oov", "evaluate.similarity.x"]),
        ("analogy/x/accuracy", ["evaluate", "evaluate.oov"]),
        (
            "similarity/mean/spearman",
            ["evaluate", "evaluate.oov", "evaluate.similarity.x", "evaluate.similarity.y"],
        ),
    ],
)
def test_settings_that_change_what_a_score_measures(objective: str, keys: list[str]) -> None:
    assert incomparable("similarity/x/spearman", ["evaluate.similarity"]) == ["evaluate.similarity"]
    varied = ["evaluate", "evaluate.oov", "evaluate.similarity.x", "evaluate.similarity.y", "seed"]
    assert incomparable(objective, varied) == keys


VECTORS = "cat 1 2\ndog 3 4\n"

NAMED_FILES = {
    ("corpus=files", "corpus.path=named"): "a cat\na dog\n",
    ("vocab.words=named",): "cat\ndog\n",
    ("vocab.drop=named",): "the\ndog\n",
    ("tokenizer.phrases.from_=named",): (
        "pass,words,phrase,score,occurrences,joined\n1,hot dog,hot_dog,2.5,10,10\n"
    ),
    ("train.init=named",): VECTORS,
    ("evaluate.similarity={mine:named}",): "cat,dog,8\nking,queen,9\n",
    ("evaluate.compare=named",): VECTORS,
    ("evaluate.vectors=named", "stages=[evaluate]"): VECTORS,
}


@pytest.mark.parametrize("arguments", NAMED_FILES)
def test_a_study_is_another_when_a_file_that_its_settings_name_changes(
    arguments: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = settled(*arguments)
    names = []
    content = NAMED_FILES[tuple(arguments)]
    for written in (content, content, content.replace("dog", "dogs")):
        Path("named").write_text(written)
        names.append(study_name(settings, {}))
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize("name", ["a?b", "a#b", "a%20b", "a{b} c"])
def test_a_study_is_in_the_file_whatever_its_path_is_made_of(tmp_path: Path, name: str) -> None:
    file = tmp_path / name / "optuna.db"
    file.parent.mkdir()
    assert resume(storage_url(str(file)), "s", "loss") == (0, 0, None)
    assert [*tmp_path.rglob("*")] == [file.parent, file]
    assert storage_url("sqlite:///x.db?timeout=9") == "sqlite:///x.db?timeout=9"


def test_a_trial_that_is_killed_twice_is_left_out(tmp_path: Path) -> None:
    import optuna

    url = f"sqlite:///{tmp_path}/optuna.db"
    assert resume(url, "s", "loss") == (0, 0, None)
    study = optuna.load_study(study_name="s", storage=url)
    for attempt in range(2):
        trial = study.ask()
        trial.suggest_float("x", 0.5, 0.5)
        ended, _, best = resume(url, "s", "loss")
        waiting = [t for t in study.get_trials() if t.state.name == "WAITING"]
        assert len(waiting) == (1 if attempt == 0 else 0)
    assert (ended, best) == (1, None)
    line = "study s: is by search.objective=loss; name another study"
    with pytest.raises(InputError, match=line), storage_errors(url):
        resume(url, "s", "seconds")
