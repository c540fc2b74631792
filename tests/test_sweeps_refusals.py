"""Test that an invalid sweep ends with a one-line error before its first job."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.commands import run, write_text
from tests.sweeps import refused_sweep

SMALL = (
    *("corpus=files", "corpus.path=text.txt", "vocab.min_count=1", "model.dim=4"),
    *("train.epochs=1", "engine=numpy", "stages=[tokenize,vocab,train]"),
)

EVALUATED = ("seed=0,1", "stages=[tokenize,vocab,train,evaluate]")

REFUSED: dict[tuple[str, ...], str] = {
    ("model.window=2,0",): "model.window=0: must be from 1 to 10,000",
    ("model.windw=2,3",): "model.windw: no such setting here; did you mean model.window?",
    ("loss=negsample,hinge",): "loss=hinge: no such choice; there are",
    ("model.dim=4,x",): "model.dim: Value 'x' of type 'str' could not be converted to Integer",
    ("train.lr=interval(0.1,0.2)",): "train.lr=interval(0.1,0.2): an interval has no end of values",
    ("search=optuna", "model.window=2,5"): (
        "search.objective=heldout_loss: does not compare over model.window; search by a score"
    ),
    (
        *("search=optuna", "search.objective=similarity/simlex999/spearman", "model.window=2"),
        "evaluate.oov=choice(skip,zero)",
    ): (
        "search.objective=similarity/simlex999/spearman: does not compare over evaluate.oov; "
        "leave it out"
    ),
    **{
        ("search=optuna", text): f"{text}: must rise, with log from a number above 0"
        for text in (
            *("train.lr=interval(0.1,0.05)", "train.lr=tag(log,interval(0,0.1))"),
            *("model.dim=range(5,2)", "model.dim=range(2,5,0)"),
        )
    },
    ("search=optuna", "seed=range(3)"): "seed=range(3): a search would choose the luckiest seed;",
    ("search=optuna", "loss=glob(*)", "search.objective=seconds"): (
        "loss=glob(*): a search needs a list; name the choices"
    ),
    ("search=optuna", "loss=negsample,softmax", "loss.negatives=2,5", "search.objective=seconds"): (
        "loss.negatives=2,5: no such setting where loss=softmax;"
    ),
    ("search=optuna", "hydra.sweeper.n_trials=0"): "hydra.sweeper.n_trials=0: must be at least 1",
    ("search=optuna", "hydra.sweeper.direction=up"): (
        "hydra.sweeper.direction=up: must be minimize or null for search.objective=heldout_loss"
    ),
    ("search=optuna", "hydra.sweeper.params=null", "model.dim=4,5", "outputs=a,b"): (
        "outputs=a,b: a sweep has one; give a single value"
    ),
    ("engine.threads=1,2", "search.objective=words_per_second"): (
        "search.objective=words_per_second: jobs that differ only in engine.threads share a"
    ),
    ("seed=0,1", "outputs=here/there", "hydra.sweep.dir=here"): (
        "hydra.sweep.dir=here: must be a folder of its own"
    ),
    ("search=optuna", "hydra.sweeper.storage=sqlite:////nowhere/x.db"): (
        "hydra.sweeper.storage=sqlite:////nowhere/x.db: cannot be used ("
    ),
    ("seed=0,1", "search.objective=similarity"): "search.objective=similarity: no such figure",
    ("seed=0,1", "hydra/launcher=slurm"): "hydra/launcher=slurm: there is no sbatch here;",
    ("seed=0,1", "hydra/launcher=joblib", "hydra.launcher.backend=threading"): (
        "hydra.launcher.backend=threading: must be loky"
    ),
    ("seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=0"): (
        "hydra.launcher.n_jobs=0: must be at least 1"
    ),
    ("seed=0,1", "hydra/launcher=ray", "hydra.launcher.num_cpus=abc"): (
        "hydra.launcher.num_cpus=abc: must be a whole number from 1 up"
    ),
    ("seed=0,1", "hydra/launcher=ray", "hydra.launcher.num_cpus=0", "plan=true"): (
        "hydra.launcher.num_cpus=0: must be a whole number from 1 up"
    ),
    ("seed=0,1", "hydra.job.chdir=true"): "hydra.job.chdir=true: must be false;",
    ("seed=0,1", "hydra.sweep.subdir=x"): "hydra.sweep.subdir: must stay ${hydra.job.num}",
    ("outputs=a,b",): "outputs=a,b: a sweep has one; give a single value",
    ("tracking=none,mlflow",): "tracking=none,mlflow: a sweep has one; give a single value",
    ("seed=range(3),7",): "seed=range(3),7: give a list of values, or one range",
    ("seed=range(0)",): "seed=range(0): stands for no value",
    ("seed=range(3,3)", "plan=true"): "seed=range(3,3): stands for no value",
    ("seed=glob(*)",): "seed=glob(*): stands for none of the choices of a group",
    ("experiment=compare_windows,compare_negatives",): (
        "experiment=compare_windows: is a sweep of its own; it cannot be one choice of another"
        if version("hydra-core") < "1.4"
        else "'hydra.sweeper' must be configured before the sweep starts"
    ),
    (
        "hydra.sweeper.params=abc",
    ): "hydra.sweeper.params=abc: must be settings, each with its values",
    ("hydra.sweeper.params={search.objective: loss}",): (
        "hydra.sweeper.params: search.objective: a sweep has one; set it outside params"
    ),
    ("seed=0,1", "hydra.sweep.dir=."): "hydra.sweep.dir=.: must be a folder of its own",
    ("seed=0,1", "hydra/sweeper=basic"): "hydra/sweeper=basic: cannot be used here; choose search=",
    ("seed=0,1", "outputs=/proc/nothing"): "outputs=/proc/nothing: must be a folder that",
    ("seed=0,1", "outputs=text.txt/a", "plan=true"): "outputs=text.txt/a: must be a folder",
    ("seed=0,1", "outputs=loop"): "outputs=loop: must be a folder that can be written (",
    ("seed=0,1", "hydra.sweep.dir=loop"): "loop: File exists; outputs must be a folder",
    ("search=optuna", "outputs=text.txt"): "outputs=text.txt: must be a folder that can be written",
    ("corpus.path=text.txt,no.txt",): "corpus.path=no.txt: no such file;",
    ("seed=0,1", "corpus=sst", "corpus.path=no.zip"): "corpus.path=no.zip: no such file;",
    ("vocab.drop=[a],no.txt",): "vocab.drop=no.txt: must be a file that can be read (No",
    ("seed=0,1", "vocab.words=no.txt"): "vocab.words=no.txt: must be a file that can be read (No",
    ("seed=0,1", "train.init=no"): "train.init=no: no such file or folder; give a run's folder",
    ("search=optuna", "train.lr=interval(0.1,0.2)", "train.init=no"): "train.init=no: no such file",
    (*EVALUATED, "evaluate.similarity.men=no.csv"): (
        "evaluate.similarity.men=no.csv: cannot be read (No such file or directory)"
    ),
    (*EVALUATED, "evaluate.similarity.men=text.txt"): (
        "evaluate.similarity.men=text.txt: 15 columns could hold the words"
    ),
    (*EVALUATED, "evaluate.analogy.google=no.txt"): (
        "evaluate.analogy.google=no.txt: cannot be read (No such file or directory)"
    ),
    (*EVALUATED, "evaluate.compare=no"): "evaluate.compare=no: no such file or folder; give a run",
    (
        *("stages=[evaluate]", "evaluate.vectors=no,text.txt"),
        "search.objective=similarity/wordsim353/spearman",
    ): ("evaluate.vectors=no: no such file or folder; give a run"),
    ("seed=0,1", "outputs=a%20b"): "outputs=a%20b: MLflow cannot keep its database in a folder",
}


COMMANDS = (
    ("model.window=2,0",),
    ("loss=negsample,hinge",),
    ("model.dim=4,x",),
    ("search=optuna", "model.window=2,5"),
    ("seed=0,1", "hydra/launcher=slurm"),
    ("experiment=compare_windows,compare_negatives",),
    ("seed=0,1", "hydra/sweeper=basic"),
    ("seed=0,1", "outputs=/proc/nothing"),
)
"""The arguments of those sweeps in `REFUSED` that are run as whole commands: at least one sweep for
each part of the program that refuses sweeps."""


def assert_no_work(here: Path) -> None:
    assert not (here / "outputs" / "cache").exists()
    assert not (here / "outputs" / "mlflow.db").exists()


@pytest.mark.parametrize("arguments", [one for one in REFUSED if one not in COMMANDS])
def test_a_bad_sweep_is_refused_before_any_work(arguments: Sequence[str], tmp_path: Path) -> None:
    here = write_text(tmp_path)
    (here / "loop").symlink_to("loop")
    line = refused_sweep(*SMALL, *arguments, cwd=here)
    assert line.startswith(REFUSED[tuple(arguments)])
    assert_no_work(here)


def test_initial_vectors_must_fit_every_job(tmp_path: Path) -> None:
    here = write_text(tmp_path)
    (here / "four.txt").write_text("a 1 2 3 4\n")
    line = refused_sweep(*SMALL, "train.init=four.txt", "model.dim=4,5", cwd=here)
    assert line.startswith("train.init=four.txt: its vectors have 4 numbers, and dim is 5;")
    assert_no_work(here)


@pytest.mark.parametrize("arguments", COMMANDS)
def test_the_command_of_a_bad_sweep_is_refused(arguments: Sequence[str], tmp_path: Path) -> None:
    here = write_text(tmp_path)
    done = run("-m", *SMALL, *arguments, cwd=here)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {REFUSED[tuple(arguments)]}"), done.stderr
    assert done.stderr.count("\n") == 1
    assert_no_work(here)
