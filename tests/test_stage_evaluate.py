"""The stage that judges: tables that agree with the scores, in every form they are written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.stages import tables
from pipeline.stages.evaluate import TABLES, Benchmarks, Findings, evaluate
from w2v import evaluate as judge
from w2v.errors import InputError
from w2v.vectors import WordVectors

WORDS = ("cat", "dog", "cats", "dogs", "king", "queen", "man", "woman", "null", "nan")


def vectors() -> WordVectors:
    generator = np.random.default_rng(0)
    words = [*WORDS, *(f"w{row}" for row in range(60))]
    array = generator.standard_normal((len(words), 6)).astype(np.float32)
    array[3] = array[1] + array[2] - array[0]  # dogs
    return WordVectors(words, array, np.arange(len(words), 0, -1))


def benchmarks(folder: Path) -> Benchmarks:
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
    return Benchmarks(
        {"mine": folder / "pairs.tsv", "none": folder / "none.tsv"},
        {"mine": folder / "questions.txt"},
    )


def judged(folder: Path, **changes: Any) -> tuple[dict[str, Any], Findings]:
    """The facts and the findings of judging into a folder."""
    seen: list[Findings] = []
    settings: dict[str, Any] = {
        "use": "v",
        "oov": "skip",
        "vocabulary": 30_000,
        "neighbours": 3,
        "probes": None,
        "suggested": None,
        "seed": 0,
        "compare": None,
        "export": lambda _: None,
        "report": lambda _, findings: seen.append(findings),
    }
    out = folder / "out"
    out.mkdir(exist_ok=True)
    facts = evaluate(out, vectors, None, benchmarks(folder), **(settings | changes))
    return facts, seen[0]


def test_the_tables_have_their_columns_in_every_form(tmp_path: Path) -> None:
    _, findings = judged(tmp_path, compare=vectors)
    assert tuple(findings.tables) == TABLES == tuple(tables.COLUMNS)
    for name, table in findings.tables.items():
        assert {c: str(t) for c, t in table.dtypes.items()} == tables.COLUMNS[name]
        assert len(table) > 0
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / f"{name}.parquet"), table)
        texts = [column for column, kind in tables.COLUMNS[name].items() if kind == "str"]
        read = pd.read_csv(
            tmp_path / "out" / f"{name}.csv",
            keep_default_na=False,  # "null" and "nan" are words
            na_values={c: [""] for c in table.columns if c not in texts},
        )
        pd.testing.assert_frame_equal(read, table, check_dtype=False)
        assert not table.duplicated().any()


def test_an_empty_table_has_its_columns(tmp_path: Path) -> None:
    _, findings = judged(tmp_path)
    assert list(findings.stability.columns) == ["word", "overlap"]
    assert len(pd.read_parquet(tmp_path / "out" / "stability.parquet")) == 0


def test_scores_can_be_recomputed_from_the_tables(tmp_path: Path) -> None:
    facts, findings = judged(tmp_path)
    used = findings.pairs[(findings.pairs["benchmark"] == "mine") & findings.pairs["used"]]
    mine = facts["similarity"]["mine"]
    assert mine["spearman"] == pytest.approx(used["human"].corr(used["model"], "spearman"))
    assert mine["pearson"] == pytest.approx(used["human"].corr(used["model"]))
    row = findings.similarity.set_index("benchmark").loc["mine"]
    assert (row["spearman"], row["low"], row["high"]) == (mine["spearman"], *mine["ci95"])
    assert (row["pairs"], row["total"]) == (len(used), len(used) + 1)
    for method in judge.METHODS:
        table = findings.analogies.query(f"method == '{method}'")
        single = table.query("category != 'all'")
        for section in ("semantic", "syntactic", "all"):
            total = table.query(f"category == 'all' and section == '{section}'").iloc[0]
            parts = single if section == "all" else single.query(f"section == '{section}'")
            for column in ("questions", "total", "correct_1", "correct_5"):
                assert total[column] == parts[column].sum()
            assert total["accuracy"] == total["correct_1"] / total["questions"]
            assert 0 <= total["low"] <= total["accuracy"] <= total["high"] <= 1
            assert total["low"] < total["high"]
            assert total["vocabulary"] == len(vectors())
    google = facts["analogy"]["mine"]
    assert (google["questions"], google["total"], google["coverage"]) == (3, 4, 0.75)
    assert google["syntactic"] == 1.0


def test_unused_pairs_and_unknown_words_are_listed(tmp_path: Path) -> None:
    facts, findings = judged(tmp_path)
    none = facts["similarity"]["none"]
    assert (none["spearman"], none["ci95"], none["pairs"], none["coverage"]) == (None, None, 0, 0)
    rows = findings.pairs.query("benchmark == 'none'")
    assert rows["model"].isna().all()
    assert not rows["used"].any()
    scores = json.loads((tmp_path / "out" / "scores.json").read_bytes())
    assert scores["similarity"]["none"]["unknown"] == ["giraffe", "lion", "tiger", "zebra"]
    assert scores["similarity"]["mine"]["unknown"] == ["zebra"]


def test_unknown_words_may_count_as_zero(tmp_path: Path) -> None:
    facts, findings = judged(tmp_path, oov="zero")
    assert findings.pairs["used"].all()
    mine = facts["similarity"]["mine"]
    human = findings.pairs.query("benchmark == 'mine'")
    expected = human["human"].corr(human["model"].fillna(0.0), "spearman")
    assert mine["spearman"] == pytest.approx(expected)
    assert (mine["pairs"], mine["known"]) == (len(human), len(human) - 1)
    assert facts["analogy"]["mine"]["questions"] == 4


def test_bands_are_by_the_rarest_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BANDS", (4, 8, 1000))
    _, findings = judged(tmp_path)
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
    facts, findings = judged(tmp_path, compare=lambda: WordVectors(vectors().words, other))
    assert facts["stability"]["overlap"] == pytest.approx(findings.stability["overlap"].mean())
    assert (facts["stability"]["k"], facts["stability"]["words"]) == (10, 70)
    low, high = facts["stability"]["ci95"]
    assert 0 < low < facts["stability"]["overlap"] < high < 1
    assert "stability" not in judged(tmp_path)[0]


def test_intervals_change_with_the_seed_alone(tmp_path: Path) -> None:
    one, again, other = (judged(tmp_path, seed=seed)[0] for seed in (0, 0, 1))
    assert one == again
    assert one["similarity"]["mine"]["ci95"] != other["similarity"]["mine"]["ci95"]
    assert one["similarity"]["mine"]["spearman"] == other["similarity"]["mine"]["spearman"]


def test_an_unknown_probe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"evaluate\.probes: zebra not in the vocabulary"):
        judged(tmp_path, probes=["cat", "zebra"])
