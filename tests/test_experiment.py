"""Test `Experiment`, which runs the stages of an experiment and caches their results."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.cache.command import prune
from pipeline.cache.store import Entry
from pipeline.config import help, schema
from pipeline.config.settings import Config
from pipeline.experiment import Experiment, check_stages
from pipeline.runtime.console import Display
from pipeline.runtime.signals import StopRequest
from pipeline.stages import STAGES
from pipeline.stages.base import ROOMS, Context, Make, Stage, code_of
from pipeline.tracking.tracker import Tracker
from tests.test_config import settled
from w2v.engines import Tally, Task
from w2v.errors import InputError
from w2v.limits import at_least
from w2v.losses import LOSSES, Counts, Loss
from w2v.sampling import Key
from w2v.settings import setting
from w2v.source_code import imported_modules
from w2v.text.tokens import Batch


class Recorder(Tracker):
    """A tracker that keeps the scores and the names of files in memory."""

    def __init__(self) -> None:
        self.scored: dict[str, float] = {}
        self.recorded: list[str] = []

    def scores(self, scores: Mapping[str, float], words: int) -> None:
        self.scored |= scores

    def files(self, paths: Any, folder: str) -> None:
        self.recorded += [path.name for path in paths]


def context_of(config: Config) -> Context:
    return Context(config, Display(), Recorder(), StopRequest(), cores=1, threads=1)


def config_of(folder: Path, *overrides: str) -> Config:
    text = folder / "text.txt"
    if not text.exists():
        random = np.random.default_rng(0)
        lines = [" ".join(random.choice(["ape", "bee", "cat", "dog"], 12)) for _ in range(60)]
        text.write_text("\n".join(lines))
    return settled(
        *("corpus=files", f"corpus.path={text}", f"outputs={folder / 'outputs'}"),
        *("model.dim=4", "train.epochs=1", "train.heldout=0.1", "vocab.min_count=1"),
        *("engine=numpy", "evaluate.map=[]", *overrides),
    )


class LongestWord(Stage):
    """An example of a new stage: it finds the longest word of the vocabulary."""

    name = "longest"
    section = "longest"
    consumes = ("vocab",)

    def prepare(self, context: Context) -> tuple[dict[str, Any], Make]:
        def make(out: Path) -> dict[str, Any]:
            table = context.entries["vocab"].path / "vocabulary.tsv"
            words = [line.split("\t")[0] for line in table.read_text().split("\n")[1:]]
            (out / "word.txt").write_text(max(words, key=len))
            return {"letters": max(map(len, words))}

        return {"seed": context.config.seed}, make

    def describe(self, facts: Mapping[str, Any]) -> str:
        return f"{facts['letters']} letters"

    def record(self, context: Context, entry: Entry) -> None:
        context.tracker.scores({"longest/letters": entry.facts["letters"]}, context.words)
        context.tracker.files([entry.path / "word.txt"], "longest")


def test_a_stage_is_one_class_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stage added to the list of stages is run, cached, printed, tracked and summarized."""
    tokenize, vocab, *others = STAGES
    stages = (tokenize, vocab, LongestWord(), *others)
    config = config_of(tmp_path, "stages=[tokenize,vocab,longest]")
    for cached in (False, True):
        context = context_of(config)
        summary = Experiment(context, stages).run(tmp_path)
        assert summary["longest"] == {"letters": 3}
        assert summary["stages"]["longest"]["cached"] is cached
        assert "3 letters" in capsys.readouterr().out
        assert isinstance(context.tracker, Recorder)
        assert context.tracker.scored["longest/letters"] == 3
        assert "word.txt" in context.tracker.recorded


def test_a_run_in_the_folder_of_an_earlier_one_leaves_no_file_of_that(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (run_dir / "report.html").write_text("mine")
    short = context_of(config_of(tmp_path, "stages=[tokenize]"))
    Experiment(short).run(run_dir)
    assert (run_dir / "report.html").read_text() == "mine", "no run had made it"
    (run_dir / "notes.txt").write_text("mine")
    for name in ("report.html", "map.html", "change.html", "trials.csv", "complexity.png"):
        (run_dir / name).write_text("of the first run")
    Experiment(short).run(run_dir)
    assert {path.name for path in run_dir.iterdir()} == {"summary.json", "notes.txt"}


class Pruning(LongestWord):
    """A stage that tries to delete all cached results while it runs, and checks that all are kept.

    The results that a run in progress uses must not be deleted.
    """

    def prepare(self, context: Context) -> tuple[dict[str, Any], Make]:
        settings, make = super().prepare(context)

        def pruned(out: Path) -> dict[str, Any]:
            assert prune(context.outputs, [], older=math.inf, to=0, dry=False) == []
            return make(out)

        return settings, pruned


def test_the_results_that_a_run_reads_are_not_pruned(tmp_path: Path) -> None:
    stages = (*STAGES[:2], Pruning())
    for names in ("tokenize", "vocab,longest"):  # the second run finds one result, and makes two
        config = config_of(tmp_path, f"stages=[{names}]")
        Experiment(context_of(config), stages).run(tmp_path)
    removed = prune(tmp_path / "outputs", [], older=math.inf, to=0, dry=False)
    assert {item.stage for item in removed} == {"tokenize", "vocab", "longest"}


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(InputError, match=r"^stages=\[train, test\]: must be some of \[toke"):
        check_stages(settled("stages=[train,test]"))


def test_a_stage_that_is_left_out_comes_from_the_cache(tmp_path: Path) -> None:
    config = config_of(tmp_path, "stages=[train]")
    with pytest.raises(InputError, match="tokenize is left out, and the cache does not hold"):
        Experiment(context_of(config)).run(tmp_path)
    Experiment(context_of(config_of(tmp_path, "stages=[tokenize,vocab]"))).run(tmp_path)
    summary = Experiment(context_of(config)).run(tmp_path)
    assert [stage["cached"] for stage in summary["stages"].values()] == [True, True, False]
    saved = json.loads((tmp_path / "summary.json").read_bytes())
    assert saved == json.loads(json.dumps(summary))


@pytest.mark.filterwarnings("default::UserWarning")
def test_warnings_of_a_stage_are_lines_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"{a}{b}" for a in "abcdefghijkl" for b in "abcdefghijkl"]
    rows = "".join(f"{word} {row} 1\n" for row, word in enumerate(words))
    (tmp_path / "a.vec").write_text("999 2\n" + rows)
    (tmp_path / "counts").write_text("".join(f"{word} {row}\n" for row, word in enumerate(words)))
    given = [f"evaluate.vectors={tmp_path / 'a.vec'}", "stages=[evaluate]"]
    tests = ["evaluate.similarity={simlex999:null,wordsim353:null}", "evaluate.analogy.google=null"]
    shown = []
    for number, more in enumerate(([], [f"evaluate.counts={tmp_path / 'counts'}"])):
        (tmp_path / str(number)).mkdir()
        Experiment(context_of(config_of(tmp_path, *given, *tests, *more))).run(
            tmp_path / str(number)
        )
        shown.append(" ".join("".join(capsys.readouterr()).split()))
        assert "a.vec: has 144 rows, which are read; its header promises 999" in shown[-1]
        Experiment(context_of(config_of(tmp_path, *given, *tests, *more))).run(
            tmp_path / str(number)
        )
        again = " ".join("".join(capsys.readouterr()).split())
        assert "scores and tables (cached)" in again
        assert again.count("a.vec: has 144 rows, which are read; its header promises 999") == 1
    assert "the 144 words are in alphabetical order and have no counts" in shown[0]
    assert "in alphabetical order" not in shown[1]
    assert "formats.py" not in "".join(shown)


# The version of a stage's code


def names_of(module: str) -> set[str]:
    return {Path(path).stem for path in code_of(module)}


def test_a_result_depends_on_the_code_that_makes_it() -> None:
    train = names_of("pipeline.stages.train")
    assert {"train", "kernels", "numba", "gensim", "softmax", "sampling", "tokens"} <= train
    # The tokenizer's code is in `train`, too, as vectors of texts need it. If it
    # changes, the stage before is computed anew anyway.
    assert not {"similarity", "charts", "corpus", "scanner"} & train
    tokenize = {"tokenizer", "scanner", "phrases", "sources", "imdb", "sst", "text8", "files"}
    assert tokenize <= names_of("pipeline.stages.tokenize")
    assert not {"kernels", "train", "vocab"} & names_of("pipeline.stages.tokenize")
    evaluate = names_of("pipeline.stages.evaluate")
    assert {"similarity", "analogy", "stability", "charts", "map", "statistics"} <= evaluate


def test_imports_are_found_in_every_form() -> None:
    source = (
        "import os\nfrom w2v.text import (\n    corpus,\n    tokens as t,\n)\n"
        'def f():\n    from w2v.engines.numpy import NumpyEngine\nX = "w2v.engines.softmax:Step"\n'
        "from pipeline.tracking.tracker import Tracker\n"
    )
    found = {*imported_modules(source + "import w2v.files\n", ROOMS)}
    assert {"w2v.text.corpus", "w2v.text.tokens", "w2v.engines.numpy"} <= found
    assert {"w2v.engines.softmax", "w2v.files"} <= found
    assert not any(name.startswith(("pipeline", "os")) for name in found)


# A custom loss


@dataclass(frozen=True)
class SquaredNorm(Loss):
    """An example of a new loss: half the squared length of each center vector, times a weight."""

    weight: float = setting("how strongly vectors are shortened", at_least(0), 1.0)

    name = "squarednorm"
    step = "tests.test_experiment:SquaredNormStep"

    def scores(self, pairs: float, centers: int, counts: Counts) -> float:
        return float(centers)


class SquaredNormStep:
    """The training step of the loss `SquaredNorm`, which shortens center vectors."""

    batch_words = 100

    def __init__(self, task: Task) -> None:
        self.model = task.model
        loss = task.objective.loss
        assert isinstance(loss, SquaredNorm)
        self.weight = loss.weight

    def batch_size(self, words: int) -> int:
        return self.batch_words

    def draw(self, batch: Batch, key: Key, first: int) -> NDArray[np.int32]:
        return np.unique(batch.ids)

    def loss(self, draw: NDArray[np.int32]) -> Tally:
        length = float((self.model.center[draw].astype(np.float64) ** 2).sum())
        return Tally(0, float(len(draw)), self.weight * length / 2)

    def update(self, draw: NDArray[np.int32], rate: float) -> Tally:
        tally = self.loss(draw)
        self.model.center[draw] *= np.float32(1 - rate * self.weight)
        return tally

    def state(self) -> dict[str, NDArray[Any]]:
        return {}


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_a_loss_is_its_settings_its_step_and_its_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """The engines numpy and numba can train with a loss that is defined outside the package."""
    monkeypatch.setitem(LOSSES, SquaredNorm.name, SquaredNorm)
    config = config_of(tmp_path, f"engine={engine}", "stages=[tokenize,vocab,train]")
    object.__setattr__(config, "loss", SquaredNorm(weight=2.0))
    assert config.run_name == "squarednorm w5 d4 s0"
    summary = Experiment(context_of(config)).run(tmp_path)
    vectors = np.load(summary["files"]["vectors"])
    assert 0 < np.abs(vectors).max() < 1 / 8
    assert summary["train"]["epochs"][0]["loss"] > summary["train"]["epochs"][0]["heldout_loss"]
    with pytest.raises(InputError, match="engine=gensim cannot train it"):
        config_of(tmp_path, "engine=gensim", "loss=softmax")
    with pytest.raises(InputError, match=r"weight=-1\.0: must be at least 0"):
        SquaredNorm(weight=-1.0)


def test_a_loss_in_the_table_is_in_the_schema_and_the_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "squarednorm.yaml").write_text("# Shortens vectors.\n")
    monkeypatch.setattr(help, "CONF", tmp_path)
    monkeypatch.setitem(schema.GROUPS["loss"], SquaredNorm.name, SquaredNorm)
    monkeypatch.setattr(schema, "known_keys", schema.known_keys.__wrapped__)  # not cached
    text = help.help_text(schema.GROUPS)
    assert re.search("loss=squarednorm +Shortens vectors", text)
    assert "loss.weight=1.0" in text
    assert "how strongly vectors are shortened (a number, at least 0)" in text
    assert "it belongs to loss=squarednorm" in schema.suggest_setting("loss.weight")
