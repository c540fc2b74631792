"""Test the stage ``evaluate`` of experiments: its scores, tables and files."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from w2v.evaluate import METHODS, metrics
from w2v.evaluate import settings as evaluate_settings
from w2v.evaluate.metrics import METRICS, base, figure_names, figures, score_lines
from w2v.evaluate.metrics.base import (
    EvaluationSettings,
    Metric,
    MetricInput,
    MetricResult,
    ScoreLine,
)
from w2v.evaluate.metrics.stability import Stability
from w2v.evaluate.metrics.tables import COLUMNS
from w2v.evaluate.settings import Evaluate
from w2v.report.comparisons import compare_texts
from w2v.report.evaluation import compute, evaluate_vectors
from w2v.report.findings import TABLES
from w2v.tables import Row
from w2v.vectors import WordVectors

WORDS = ("cat", "dog", "cats", "dogs", "king", "queen", "man", "woman", "null", "nan")


def vectors() -> WordVectors:
    generator = np.random.default_rng(0)
    words = [*WORDS, *(f"w{row}" for row in range(60))]
    array = generator.standard_normal((len(words), 6)).astype(np.float32)
    array[3] = array[1] + array[2] - array[0]  # dogs
    return WordVectors(words, array, np.arange(len(words), 0, -1))


def benchmarks(folder: Path) -> dict[str, Any]:
    """Write small benchmark files into a folder; return the settings that evaluate vectors on them.

    The files are two sets of word pairs, one of which has only unknown words, and a file of analogy
    questions.
    """
    generator = np.random.default_rng(1)
    lines = [
        f"{a}\t{b}\t{generator.integers(10)}\n"
        for a in WORDS
        for b in WORDS
        if generator.random() < 0.4
    ]
    (folder / "pairs.tsv").write_text("".join(lines) + "cat\tzebra\t3\n")
    (folder / "none.tsv").write_text("zebra\tgiraffe\t3\nlion\ttiger\t4\n")
    (folder / "questions.txt").write_text(
        ": gram-plural\ncat cats dog dogs\ncat cats zebra zebras\n"
        ": family\nman woman king queen\nking queen man woman\n"
    )
    return {
        "similarity": {"mine": str(folder / "pairs.tsv"), "none": str(folder / "none.tsv")},
        "analogy": {"mine": str(folder / "questions.txt")},
    }


def frame(rows: list[Row], columns: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns)).astype(dict(columns))


def evaluated(
    folder: Path, other: Callable[[], WordVectors] | None = None, **changes: Any
) -> tuple[dict[str, Any], SimpleNamespace]:
    """Evaluate random vectors, and write the results to ``folder/out``; return scores and tables.

    Each table is a data frame, an attribute of the second result. `other` returns the vectors of
    another training; if it is None, the metric ``stability``, which needs them, is not computed.
    `changes` are settings of the evaluation.
    """
    out = folder / "out"
    out.mkdir(exist_ok=True)
    settings = Evaluate(**{"neighbours": 3, **benchmarks(folder), **changes})
    given = MetricInput(vectors(), settings, other)
    facts, findings = compute(out, given, settings, None, None)
    assert tuple(findings.tables) == TABLES == tuple(COLUMNS)
    frames = {name: frame(rows, COLUMNS[name]) for name, rows in findings.tables.items()}
    return facts, SimpleNamespace(**frames)


def test_the_tables_have_their_columns_in_every_form(tmp_path: Path) -> None:
    _, findings = evaluated(tmp_path, vectors)
    for name, table in vars(findings).items():
        assert {c: str(t) for c, t in table.dtypes.items()} == COLUMNS[name]
        assert len(table) > 0
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / f"{name}.parquet"), table)
        texts = [column for column, kind in COLUMNS[name].items() if kind == "str"]
        read = pd.read_csv(
            tmp_path / "out" / f"{name}.csv",
            keep_default_na=False,  # "null" and "nan" are words
            na_values={c: [""] for c in table.columns if c not in texts},
        )
        pd.testing.assert_frame_equal(read, table, check_dtype=False)
        assert not table.duplicated().any()


def test_an_empty_table_has_its_columns(tmp_path: Path) -> None:
    _, findings = evaluated(tmp_path)
    assert findings.stability.empty
    read = pd.read_parquet(tmp_path / "out" / "stability.parquet")
    assert {c: str(t) for c, t in read.dtypes.items()} == COLUMNS["stability"]
    assert len(read) == 0
    assert (tmp_path / "out" / "stability.csv").read_text() == "word,overlap\n"


def test_scores_can_be_recomputed_from_the_tables(tmp_path: Path) -> None:
    facts, findings = evaluated(tmp_path)
    used = findings.pairs[(findings.pairs["benchmark"] == "mine") & findings.pairs["used"]]
    mine = facts["similarity"]["mine"]
    assert mine["spearman"] == pytest.approx(used["human"].corr(used["model"], "spearman"))
    assert mine["pearson"] == pytest.approx(used["human"].corr(used["model"]))
    row = findings.similarity.set_index("benchmark").loc["mine"]
    assert (row["spearman"], row["low"], row["high"]) == (mine["spearman"], *mine["ci95"])
    assert (row["pairs"], row["total"]) == (len(used), len(used) + 1)
    for method in METHODS:
        table = findings.analogies.query(f"method == '{method}'")
        single = table.query("category != 'all'")
        for section in ("semantic", "syntactic", "all"):
            total = table.query(f"category == 'all' and section == '{section}'").iloc[0]
            parts = single if section == "all" else single.query(f"section == '{section}'")
            for column in ("questions", "known", "total", "correct_1", "correct_5"):
                assert total[column] == parts[column].sum()
            assert total["accuracy"] == total["correct_1"] / total["questions"]
            assert 0 <= total["low"] <= total["accuracy"] <= total["high"] <= 1
            assert total["low"] < total["high"]
            assert total["vocabulary"] == len(vectors())
    google = facts["analogy"]["mine"]
    assert (google["questions"], google["total"], google["coverage"]) == (3, 4, 0.75)
    assert google["syntactic"] == 1.0


def test_unused_pairs_and_unknown_words_are_listed(tmp_path: Path) -> None:
    facts, findings = evaluated(tmp_path)
    none = facts["similarity"]["none"]
    assert (none["spearman"], none["ci95"], none["pairs"], none["coverage"]) == (None, None, 0, 0)
    rows = findings.pairs.query("benchmark == 'none'")
    assert rows["model"].isna().all()
    assert not rows["used"].any()
    scores = json.loads((tmp_path / "out" / "scores.json").read_bytes())
    assert scores["similarity"]["none"]["unknown"] == ["giraffe", "lion", "tiger", "zebra"]
    assert scores["similarity"]["mine"]["unknown"] == ["zebra"]


def test_unknown_words_may_count_as_zero(tmp_path: Path) -> None:
    facts, findings = evaluated(tmp_path, oov="zero")
    assert findings.pairs["used"].all()
    mine = facts["similarity"]["mine"]
    human = findings.pairs.query("benchmark == 'mine'")
    expected = human["human"].corr(human["model"].fillna(0.0), "spearman")
    assert mine["spearman"] == pytest.approx(expected)
    assert (mine["pairs"], mine["known"]) == (len(human), len(human) - 1)
    assert facts["analogy"]["mine"]["questions"] == 4
    assert findings.analogies.query("category == 'all' and section == 'all'")["known"].eq(3).all()


def test_bands_are_by_the_rarest_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "BANDS", (4, 8, 1000))
    _, findings = evaluated(tmp_path)
    bands = findings.bands.query("benchmark == 'mine'")
    spearman = bands.query("metric == 'spearman'")
    assert list(zip(spearman["first"], spearman["last"], strict=True)) == [(1, 4), (5, 8), (9, 70)]
    ranks = {word: rank for rank, word in enumerate(WORDS, start=1)}
    pairs = findings.pairs.query("benchmark == 'mine' and used")
    rarest = pairs[["word_1", "word_2"]].map(lambda word: ranks[word]).max(axis=1)
    for _, row in spearman.iterrows():
        inside = pairs[(rarest >= row["first"]) & (rarest <= row["last"])]
        assert row["used"] == len(inside)
        assert row["value"] == pytest.approx(inside["human"].corr(inside["model"], "spearman"))
    assert spearman["used"].sum() == len(pairs)
    accuracy = bands.query("metric == 'accuracy'").set_index("first")
    assert accuracy["used"].tolist() == [1, 2, 0]
    assert accuracy["value"].iloc[0] == 1.0
    assert accuracy["value"].isna().tolist() == [False, False, True]


def test_stability_is_the_mean_of_its_table(tmp_path: Path) -> None:
    generator = np.random.default_rng(2)
    other = vectors().vectors + generator.standard_normal((70, 6)).astype(np.float32)
    facts, findings = evaluated(tmp_path, lambda: WordVectors(vectors().words, other))
    assert facts["stability"]["overlap"] == pytest.approx(findings.stability["overlap"].mean())
    assert (facts["stability"]["k"], facts["stability"]["words"]) == (10, 70)
    low, high = facts["stability"]["ci95"]
    assert 0 < low < facts["stability"]["overlap"] < high < 1
    assert "stability" not in evaluated(tmp_path)[0]


def test_stability_of_few_words_has_as_many_neighbours_as_there_are() -> None:
    pair = WordVectors(["a", "b"], np.eye(2))
    result = Stability().compute(MetricInput(pair, EvaluationSettings(), lambda: pair))
    assert result is not None
    (line,) = Stability().lines(result.scores)
    assert (result.scores["k"], line.used) == (1, "1 each of 2 words")


def test_the_encoding_is_that_of_the_compared_vectors_too(tmp_path: Path) -> None:
    path, words = tmp_path / "vectors.txt", [f"ä{number}" for number in range(12)]
    WordVectors(words, np.random.default_rng(0).normal(size=(12, 3))).save_word2vec(path)
    path.write_bytes(path.read_text(encoding="utf-8").encode("latin-1"))
    vectors: Any = {"vectors": str(path), "compare": str(path), "encoding": "latin-1"}
    settings = Evaluate(similarity={}, analogy={}, **vectors)
    facts, findings = evaluate_vectors(tmp_path, settings, None, None)
    assert (facts["stability"]["words"], facts["stability"]["overlap"]) == (12, 1.0)
    config = {"evaluate": vectors, "corpus": {"name": "new"}, "train": {"bootstrap": False}}
    compare_texts(tmp_path, findings.vectors, config)
    assert "12 words are compared" in (tmp_path / "change.html").read_text()


def test_intervals_change_with_the_seed_alone(tmp_path: Path) -> None:
    one, again, other = (evaluated(tmp_path, seed=seed)[0] for seed in (0, 0, 1))
    assert one == again
    assert one["similarity"]["mine"]["ci95"] != other["similarity"]["mine"]["ci95"]
    assert one["similarity"]["mine"]["spearman"] == other["similarity"]["mine"]["spearman"]


def test_an_unknown_probe_is_left_out(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"evaluate\.probes: zebra not in the vocabulary, so left"):
        facts, _ = evaluated(tmp_path, probes=["cat", "zebra"])
    assert list(facts["neighbours"]) == ["cat"]


def test_probes_are_looked_up_as_the_words_of_benchmarks_are(tmp_path: Path) -> None:
    facts, _ = evaluated(tmp_path, probes=["CAT", "cat"])
    assert list(facts["neighbours"]) == ["cat"]


class NormSpread(Metric):
    """An example of a new metric: the standard deviation of the lengths of the vectors."""

    section = "norms"
    figures = ("spread",)
    columns: ClassVar = {"norms": {"word": "str", "norm": "float64"}}

    def benchmarks(self, settings: EvaluationSettings) -> dict[str, Path]:
        return {}

    def compute(self, given: MetricInput) -> MetricResult:
        norms = np.linalg.norm(given.vectors.vectors, axis=1)
        rows = list(zip(given.vectors.words, norms.tolist(), strict=True))
        return MetricResult({"all": {"spread": float(np.std(norms))}}, {"norms": rows})

    def figure_names(self, settings: EvaluationSettings) -> list[str]:
        return ["norms/all/spread"]

    def lines(self, scores: Mapping[str, Any]) -> Iterator[ScoreLine]:
        yield ScoreLine("norms", scores["all"]["spread"], None, "all words")


def test_a_metric_is_one_class_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A metric added to the list of metrics is in the scores, the tables and the printed lines."""
    for module in (evaluate_settings, metrics):
        monkeypatch.setattr(module, "METRICS", (*METRICS, NormSpread()))
    facts, _ = evaluated(tmp_path)
    spread = facts["norms"]["all"]["spread"]
    scores = json.loads((tmp_path / "out" / "scores.json").read_bytes())
    assert scores["norms"] == {"all": {"spread": spread}}
    assert len(pd.read_parquet(tmp_path / "out" / "norms.parquet")) == len(vectors())
    assert figures(facts)["norms/all/spread"] == spread
    names = figure_names(Evaluate(**benchmarks(tmp_path)))
    assert set(figures(facts)) <= set(names)
    assert "norms/all/spread" in names
    assert ScoreLine("norms", spread, None, "all words") in score_lines(facts)


def test_evaluations_share_the_items_of_a_benchmark_but_never_damaged_ones(tmp_path: Path) -> None:
    mine = benchmarks(tmp_path)["similarity"]["mine"]
    settings = Evaluate(similarity={"mine": mine}, analogy={})
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        compute(tmp_path / name, MetricInput(vectors(), settings), settings, None, None)
    (first,), (second,) = ((tmp_path / name).glob("items-*") for name in ("a", "b"))
    assert first.samefile(second)
    whole = first.read_bytes()
    first.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # under all of its names
    (tmp_path / "c").mkdir()
    compute(tmp_path / "c", MetricInput(vectors(), settings), settings, None, None)
    assert (tmp_path / "c" / first.name).read_bytes() == whole
