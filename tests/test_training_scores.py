"""Test the scores that are computed after epochs, their plots, and early stopping by them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.stages.train import Train
from pipeline.sweeps.objective import figures_of
from tests.commands import SMALL, WITHOUT_SCORES, query, run, summary_of, write_text
from tests.test_training_checkpoint import assert_same
from tests.test_training_checkpoint import run as train
from w2v import WordVectors, evaluate
from w2v.errors import InputError
from w2v.evaluate.metrics import followed_figures
from w2v.evaluate.metrics.base import EvaluationSettings
from w2v.losses import NegativeSampling
from w2v.objectives import Model
from w2v.report.figures import draw, read_pictures
from w2v.report.findings import Findings
from w2v.report.report import tiles
from w2v.training.checkpoint import Checkpoints
from w2v.training.early_stopping import EarlyStopping
from w2v.training.history import Epoch, Point
from w2v.training.train import Stopped


def test_scores_are_computed_when_due_and_change_no_bit() -> None:
    norms: list[float] = []

    def score(model: Model) -> dict[str, float]:
        norms.append(float(np.square(model.center).sum()))
        return {"norm": norms[-1]}

    scored = train(NegativeSampling(), epochs=5, score=score, every=2)
    plain = train(NegativeSampling(), epochs=5)
    expected = [{}, {"norm": norms[0]}, {}, {"norm": norms[1]}, {"norm": norms[2]}]
    assert [epoch.scores for epoch in scored.epochs] == expected
    assert norms[2] == pytest.approx(float(np.square(scored.model.center).sum()))
    for one, other in zip(scored.model, plain.model, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_epoch_with_the_best_score_is_kept(tmp_path: Path) -> None:
    scores = iter([0.0, 0.1, 0.5, 0.4, 0.3, 0.9])  # the first is that of the initial vectors
    models: list[np.ndarray] = []

    def score(model: Model) -> dict[str, float]:
        models.append(model.center.copy())
        return {"score": next(scores)}

    early = EarlyStopping(2, watch="score")
    stopped = train(NegativeSampling(), epochs=5, score=score, early=early)
    assert (len(stopped.epochs), stopped.kept_epoch) == (4, 2)
    np.testing.assert_array_equal(stopped.model.center, models[2])
    facts = stopped.figures() | {"engine": "numpy", "threads": 1}
    loss, heldout = (facts["epochs"][1][name] for name in ("loss", "heldout_loss"))
    figures = figures_of({"train": facts})
    assert (figures["loss"], figures["heldout_loss"]) == (loss, heldout)
    note = "nats, after 2 epochs, the best of 4"
    assert [*tiles(facts, [], [])[0].values()] == ["Held-out loss", f"{heldout:.3f}", note]
    assert Train().describe(facts) == f"loss {loss:.3f} after 2 epochs, the best of 4"
    findings = Findings(WordVectors(["a"], models[0][:1]), [], stopped.epochs, [], *[[]] * 6)
    none: Any = {"title": "", "counts": None, "methods": [], "map_words": 0, "vocabulary": 0}
    for kept, said in ((2, " The vectors of epoch 2 were kept."), (4, "")):
        draw(tmp_path, findings, kept_epoch=kept, **none)
        shown = read_pictures(tmp_path)[-1].shows
        assert shown == f"Scores after epochs of training; after the last one: score 0.300.{said}"


def test_early_stopping_by_an_undefined_score_is_refused_before_training() -> None:
    seen: list[Point] = []
    early = EarlyStopping(2, watch="score")
    with pytest.raises(InputError) as refused:
        train(NegativeSampling(), score=lambda _: {}, early=early, on_point=seen.append)
    assert str(refused.value) == (
        "watch=score: must be a score that is defined, or heldout_loss; probably too few of the "
        "benchmark's words are in the vocabulary"
    )
    assert seen == []


def test_a_score_that_becomes_undefined_is_no_gain() -> None:
    scores = iter([{"score": 0.1}, {"score": 0.2}, {}, {"score": 0.3}, {}, {}])
    early = EarlyStopping(2, watch="score")
    done = train(NegativeSampling(), epochs=9, score=lambda _: next(scores), early=early)
    assert (len(done.epochs), done.kept_epoch) == (5, 3)


@pytest.mark.parametrize(
    ("scores", "gain", "best"),
    [
        ([0.1, 0.3, 0.2], 0.0, 2),
        ([0.1, 0.3, 0.3], 0.0, 2),
        ([0.1, 0.3, 0.35], 0.1, 2),
        ([None, 0.3, None, 0.4], 0.0, 4),
        ([None, None], 0.0, 1),
        ([-0.3, -0.2], 0.0, 2),
    ],
)
def test_the_best_score_is_the_largest(scores: list[float | None], gain: float, best: int) -> None:
    epochs = [
        Epoch(n, 1.0, None, 0.1, 1, 1.0, 1.0, {} if value is None else {"x": value})
        for n, value in enumerate(scores, start=1)
    ]
    assert EarlyStopping(1, gain, "x").best(epochs) == best


def test_a_training_that_continues_keeps_its_scores(tmp_path: Path) -> None:
    def score(model: Model) -> dict[str, float]:
        return {"norm": float(np.square(model.center).sum())}

    whole = train(NegativeSampling(), epochs=3, score=score)
    calls = iter(range(100))
    folder = Checkpoints(tmp_path, None, None, print)
    with pytest.raises(Stopped):
        train(NegativeSampling(), score=score, checkpoints=folder, stop=lambda: next(calls) == 2)
    assert_same(train(NegativeSampling(), score=score, checkpoints=folder), whole)


def test_followed_figures_are_those_of_the_evaluation(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    vectors = WordVectors([*"abcdef"], random.normal(size=(6, 4)))
    (tmp_path / "pairs.csv").write_text("a,b,1\nc,d,2\ne,f,3\na,f,4\n")
    pairs = {"mine": str(tmp_path / "pairs.csv"), "wordsim353": None}
    settings = EvaluationSettings(similarity=pairs, analogy={}, every=1)
    found = followed_figures(vectors, settings)
    expected = evaluate.similarity(vectors, evaluate.load_pairs(tmp_path / "pairs.csv"))
    assert found == {"similarity/mine/spearman": expected.spearman}
    chosen = ["similarity/mine/pearson", "similarity/mine/coverage"]
    several = EvaluationSettings(similarity=pairs, analogy={}, every=1, curves=chosen)
    assert followed_figures(vectors, several) == {
        "similarity/mine/pearson": expected.pearson,
        "similarity/mine/coverage": 1.0,
    }
    assert followed_figures(vectors, EvaluationSettings(similarity=pairs)) == {}


@pytest.mark.usefixtures("made_store")
def test_a_run_has_curves_of_scores(tmp_path: Path) -> None:
    write_text(tmp_path)
    (tmp_path / "pairs.csv").write_text("cat,dog,8\nking,queen,9\nmat,rug,5\nking,rug,1\n")
    given = (
        *(*SMALL, "evaluate.similarity={pairs:pairs.csv,wordsim353:null,simlex999:null}"),
        *("evaluate.analogy={google:null}", "evaluate.map=[]", "evaluate.every=1"),
        *("train.patience=1", "train.watch=similarity/pairs/spearman"),
    )
    done = run(*given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = summary_of(tmp_path)
    epochs, kept = summary["train"]["epochs"], summary["train"]["kept_epoch"]
    name = "similarity/pairs/spearman"
    final = summary["evaluate"]["similarity"]["pairs"]["spearman"]
    assert epochs[kept - 1]["scores"] == {name: pytest.approx(final)}
    report = next(tmp_path.glob("outputs/runs/*/*/report.html")).read_text()
    assert "Scores while training" in report
    (drawn,) = tmp_path.glob("outputs/cache/report/*/pictures.json")
    assert any(picture["file"] == "scores.png" for picture in json.loads(drawn.read_text()))
    steps = query(tmp_path, f"select distinct step from metrics where key = '{name}'")
    assert len(steps) >= len(epochs)
    # Another list of pairs is another training, because it may stop elsewhere.
    (tmp_path / "pairs.csv").write_text("cat,dog,1\nking,queen,2\nmat,rug,5\nking,rug,9\n")
    assert run(*given, "plan=true", cwd=tmp_path).stdout.count("content of evaluate.sim") == 2
    plain = [text for text in given if "every" not in text and "watch" not in text]
    assert "evaluate.every is left out" in run(*plain, "plan=true", cwd=tmp_path).stdout


def test_a_run_continues_only_what_has_its_own_scores(tmp_path: Path) -> None:
    """A run has the same scores whether it finds a shorter run in the cache or starts anew."""
    write_text(tmp_path)
    (tmp_path / "pairs.csv").write_text("cat,dog,8\nking,queen,9\nmat,rug,5\nking,rug,1\n")
    given = (
        *(*SMALL, "evaluate.similarity={pairs:pairs.csv,wordsim353:null,simlex999:null}"),
        *("evaluate.analogy={google:null}", "evaluate.map=[]", "evaluate.every=2"),
        *("engine=numpy", "engine.threads=1", "tracking=none", "train.decay_epochs=4"),
        WITHOUT_SCORES,
    )

    def scores(outputs: str, *epochs: int) -> list[dict[str, float]]:
        for number in epochs:
            done = run(*given, f"train.epochs={number}", f"outputs={outputs}", cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        summary = max(tmp_path.glob(f"{outputs}/runs/*/*/summary.json"))
        return [epoch["scores"] for epoch in json.loads(summary.read_bytes())["train"]["epochs"]]

    anew = scores("anew", 4)
    assert scores("uneven", 3, 4) == anew
    assert scores("even", 2, 4) == anew
