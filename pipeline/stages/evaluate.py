"""Vectors to scores, tables and pictures."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.stages.tables import pair_bands, question_bands, table
from pipeline.stages.train import read_history
from w2v import evaluate as judge
from w2v.errors import InputError
from w2v.evaluate.statistics import mean_interval
from w2v.sampling import generator
from w2v.training.train import Epoch, Point
from w2v.vectors import WordVectors

if TYPE_CHECKING:
    import pandas as pd

SCORES = "scores.json"

PROBES = 24
"""Probe words chosen from a vocabulary."""

OVERLAP = 10
"""Nearest neighbours that are compared with those of another run."""


@dataclass(frozen=True)
class Findings:
    """What a report shows: tidy tables, one observation a row, and what they are of.

    Attributes
    ----------
    vectors, points, epochs, probes
        The vectors judged, the history of their training (empty where they came from elsewhere)
        and the words whose neighbours are listed.
    pairs
        benchmark, word_1, word_2, human, model (cosine; NaN without vectors), used (whether the
        pair counts in the scores).
    similarity
        benchmark, vectors (``v`` or ``v+u``), spearman, pearson, low, high (95 % interval of
        spearman), pairs (used), total, coverage, oov.
    analogies
        benchmark, method, section, category, questions (used), total, correct_1, correct_5,
        accuracy, low, high (95 %), vocabulary. Sums stand in rows of their own: category ``all``
        of section ``all``, ``semantic`` and ``syntactic``.
    neighbours
        word, rank (from 1), neighbour, similarity (cosine).
    bands
        benchmark, metric (``spearman``, or ``accuracy`` of 3CosAdd), first and last (ranks by
        frequency, from 1, of the rarest word of a pair or question), used, value, low, high.
    stability
        word, overlap (share of its ten nearest neighbours that the other run finds as well).
    """

    vectors: WordVectors
    points: list[Point]
    epochs: list[Epoch]
    probes: list[str]
    pairs: "pd.DataFrame"
    similarity: "pd.DataFrame"
    analogies: "pd.DataFrame"
    neighbours: "pd.DataFrame"
    bands: "pd.DataFrame"
    stability: "pd.DataFrame"

    @property
    def tables(self) -> "dict[str, pd.DataFrame]":
        """The tables by name."""
        return {name: getattr(self, name) for name in TABLES}


TABLES = ("pairs", "similarity", "analogies", "neighbours", "bands", "stability")


@dataclass(frozen=True)
class Benchmarks:
    """Files of questions, by the name that the results go by."""

    similarity: Mapping[str, Path]
    analogy: Mapping[str, Path]


def evaluate(
    out: Path,
    load: Callable[[], WordVectors],
    trained: Path | None,
    benchmarks: Benchmarks,
    *,
    use: str,
    oov: judge.Unknown,
    vocabulary: int,
    neighbours: int,
    probes: Sequence[str] | None,
    suggested: Sequence[str] | None,
    seed: int,
    compare: Callable[[], WordVectors] | None,
    export: Callable[[WordVectors], None],
    report: Callable[[Path, Findings], None],
) -> dict[str, Any]:
    """Write ``scores.json``, the tables (Parquet and CSV), exports, and the report.

    Parameters
    ----------
    load
        Opens the vectors.
    trained
        The folder of their training; ``None`` where they came from elsewhere.
    use
        Which vectors they are, for the tables.
    oov
        What pairs and questions with unknown words count.
    vocabulary
        Analogies are asked and answered within so many most frequent words.
    neighbours
        How many are listed for each probe word.
    probes
        Words whose neighbours are listed. ``None``: those of ``suggested`` that have vectors;
        where none is suggested, words chosen from the vocabulary.
    seed
        Of the bootstrap.
    compare
        Opens the vectors of another run, whose neighbours are compared.
    export
        Called with the vectors.
    report
        Called with the folder and all that was found.

    Raises
    ------
    InputError
        A probe word that has no vector; files that are no benchmarks or no vectors.
    """
    vectors = load()
    unknown = [word for word in probes or () if word not in vectors]
    if unknown:
        raise InputError(f"evaluate.probes: {', '.join(unknown)} not in the vocabulary")
    chosen = list(probes or [word for word in suggested or () if word in vectors])
    chosen = chosen or judge.probe_words(vectors, PROBES)
    scores: dict[str, dict[str, Any]] = {"similarity": {}, "analogy": {}}
    rows: dict[str, list[Any]] = {name: [] for name in TABLES}

    for name, path in benchmarks.similarity.items():
        pairs = judge.load_pairs(path)
        model = judge.pair_cosines(vectors, pairs)
        found = judge.similarity(
            vectors, pairs, oov=oov, generator=generator(seed, f"bootstrap {name}")
        )
        scores["similarity"][name] = asdict(found)
        low, high = found.ci95 or (None, None)
        rows["similarity"].append(
            {**asdict(found), "benchmark": name, "vectors": use, "low": low, "high": high}
        )
        rows["pairs"] += [
            (name, *pair, cosine, oov == "zero" or not np.isnan(cosine))
            for pair, cosine in zip(pairs, model.tolist(), strict=True)
        ]
        rows["bands"] += pair_bands(name, vectors, pairs, generator(seed, f"bands {name}"))
    for name, path in benchmarks.analogy.items():
        questions = judge.load_analogies(path)
        ranks = judge.answer_ranks(vectors, questions, vocabulary)
        within = min(vocabulary, len(vectors))
        results = [
            judge.count_answers(questions, ranks[method], within, method, oov)
            for method in judge.METHODS
        ]
        scores["analogy"][name] = asdict(results[0]) | {
            result.method: {key: value for key, value in asdict(result).items() if key in METHOD}
            for result in results[1:]
        }
        for result in results:
            sections = [("semantic",), ("syntactic",), ("semantic", "syntactic")]
            sums = [
                judge.total_of(
                    [c for c in result.categories if c.section in section],
                    section[0] if len(section) == 1 else "all",
                )
                for section in sections
            ]
            for category in (*result.categories, *sums):
                low, high = category.ci95 or (None, None)
                rows["analogies"].append(
                    {
                        **asdict(category),
                        "benchmark": name,
                        "method": result.method,
                        "correct_1": category.correct,
                        "low": low,
                        "high": high,
                        "vocabulary": result.vocabulary,
                    }
                )
        rows["bands"] += question_bands(name, vectors, questions, ranks["3CosAdd"], within)
    nearest = judge.neighbours(vectors, chosen, neighbours)
    rows["neighbours"] = list(nearest)
    if compare is not None:
        rows["stability"] = list(judge.neighbour_overlap(vectors, compare(), OVERLAP))
        shares = np.array([row.overlap for row in rows["stability"]])
        scores["stability"] = {
            "k": OVERLAP,
            "words": len(shares),
            "overlap": float(shares.mean()),
            "ci95": mean_interval(shares),
        }

    points, epochs = ([], []) if trained is None else read_history(trained)
    tables = {name: table(name, rows[name]) for name in TABLES}
    for name, frame in tables.items():
        frame.to_csv(out / f"{name}.csv", index=False)
        frame.to_parquet(out / f"{name}.parquet", index=False)
    text = json.dumps(scores, indent=1, ensure_ascii=False, allow_nan=False)
    (out / SCORES).write_text(text, encoding="utf-8")
    export(vectors)
    report(out, Findings(vectors, points, epochs, chosen, **tables))

    facts: dict[str, Any] = {
        kind: {
            name: {key: value for key, value in result.items() if key not in LONG}
            for name, result in scores[kind].items()
        }
        for kind in ("similarity", "analogy")
    }
    facts["neighbours"] = {
        word: [n.neighbour for n in nearest if n.word == word][:5] for word in chosen
    }
    facts["vectors"] = {"use": use, "words": len(vectors), "dimensions": vectors.dimensions}
    return {key: scores[key] for key in scores if key not in facts} | facts


LONG = ("categories", "unknown")
"""What the summary leaves to ``scores.json``."""

METHOD = ("accuracy", "semantic", "syntactic", "accuracy_5", "ci95", "correct", "correct_5")
"""What scores hold of the methods but the first, whose other figures are the same."""
