"""Vectors to scores, tables and pictures."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.stages.train import read_history
from w2v import evaluate as judge
from w2v.errors import InputError
from w2v.sampling import generator
from w2v.train import Epoch, Point
from w2v.vectors import WordVectors

SIMILARITY = ("wordsim353", "simlex999")
ANALOGY = ("google",)
SCORES = "scores.json"


@dataclass(frozen=True)
class Findings:
    """What a report shows."""

    vectors: WordVectors
    points: list[Point]
    epochs: list[Epoch]
    similarity: dict[str, judge.SimilarityResult]
    analogy: dict[str, judge.AnalogyResult]
    neighbours: list[judge.Neighbour]
    probes: list[str]


def evaluate(
    out: Path,
    trained: Path,
    vocabulary: int,
    neighbours: int,
    probes: Sequence[str] | None,
    suggested: Sequence[str] | None,
    report: Callable[[Path, Findings], None],
) -> dict[str, Any]:
    """Write ``scores.json`` and what ``report`` makes of the findings.

    Parameters
    ----------
    vocabulary
        Analogies are asked and answered within so many most frequent words.
    neighbours
        How many are listed for each probe word.
    probes
        Words whose neighbours are listed. ``None``: those of ``suggested`` that have vectors;
        where none is suggested, words chosen from the vocabulary.

    Raises
    ------
    InputError
        A probe word that has no vector.
    """
    vectors = WordVectors.load(trained)
    unknown = [word for word in probes or () if word not in vectors]
    if unknown:
        raise InputError(f"evaluate.probes: {', '.join(unknown)} not in the vocabulary")
    chosen = list(probes or [word for word in suggested or () if word in vectors])
    chosen = chosen or judge.probe_words(vectors, PROBES)
    similarity = {
        name: judge.similarity(
            vectors,
            judge.load_pairs(judge.benchmark_path(name)),
            generator=generator(0, f"bootstrap {name}"),
        )
        for name in SIMILARITY
    }
    analogy = {
        name: judge.analogies(vectors, judge.load_analogies(judge.benchmark_path(name)), vocabulary)
        for name in ANALOGY
    }
    points, epochs = read_history(trained)
    nearest = judge.neighbours(vectors, chosen, neighbours)
    findings = Findings(vectors, points, epochs, similarity, analogy, nearest, chosen)
    report(out, findings)
    scores = {
        "similarity": {name: asdict(result) for name, result in similarity.items()},
        "analogy": {name: asdict(result) for name, result in analogy.items()},
    }
    text = json.dumps(scores, indent=1, ensure_ascii=False, allow_nan=False)
    (out / SCORES).write_text(text, encoding="utf-8")
    shown = ("categories", "unknown")
    facts: dict[str, Any] = {
        kind: {
            name: {key: value for key, value in result.items() if key not in shown}
            for name, result in results.items()
        }
        for kind, results in scores.items()
    }
    nearest_first = {word: [n.neighbour for n in nearest if n.word == word][:5] for word in chosen}
    return {**facts, "neighbours": nearest_first}


PROBES = 24
"""Probe words chosen from a vocabulary."""
