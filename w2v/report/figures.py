"""Draw the charts of a run, each with a file name, a title and a description.

`draw` makes the charts and the interactive map, and lists the charts in ``pictures.json``, which
the report reads.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2v.evaluate.projection import project_by
from w2v.plots import charts, word_map
from w2v.report import map_page
from w2v.report.findings import Findings
from w2v.tables import Row

LIST = "pictures.json"
MAP = "map.html"

KINDS = ("loss", "map", "similarity", "analogy", "zipf")
MAP_NEIGHBOURS = 60  # words in a map chart besides the probe words


@dataclass(frozen=True)
class Picture:
    """A chart: its file name, kind (such as ``loss`` or ``map``), title and text description."""

    file: str
    kind: str  # one of `KINDS`
    title: str
    shows: str  # a description for people who cannot see the chart


@dataclass(frozen=True)
class Counts:
    """The counts of the types (distinct tokens) of a corpus, and which types are in the vocabulary.

    Attributes
    ----------
    counts : int64 (types,)
        How often each type occurs.
    kept : bool (types,)
        Whether the type is in the vocabulary.
    """

    counts: NDArray[np.int64]
    kept: NDArray[np.bool_]


def draw(
    out: Path,
    findings: Findings,
    *,
    title: str,
    kept_epoch: int | None,
    counts: Counts | None,
    methods: Sequence[str],
    map_words: int,
    vocabulary: int,
) -> None:
    """Draw the charts of a run (PNG) and its interactive map (HTML) into a folder.

    The charts are listed in the file ``pictures.json`` of the folder.

    Parameters
    ----------
    out
        The folder.
    title
        The title of the maps and of the curves of loss and scores.
    kept_epoch
        The number of the epoch whose vectors were kept; None if nothing was trained.
    counts
        The counts of the corpus, for a chart of word frequency over rank; None: no such chart.
    methods
        The methods of projection into the plane, keys of `w2v.evaluate.projection.NAMES`. Each has
        a map chart, and the interactive map offers all of them. Without methods, no map is made.
    map_words
        The largest number of words on the interactive map.
    vocabulary
        The interactive map lists neighbors among this many of the most frequent words.
    """
    made = [
        *_loss(out, findings, title, kept_epoch),
        *_maps(out, findings, title, methods, map_words, vocabulary),
        *_similarity(out, findings),
        *_analogies(out, findings),
    ]
    if counts is not None:
        charts.zipf(counts.counts, counts.kept, out / "zipf.png")
        shows = (
            f"Occurrences over rank, on logarithmic axes: {int(counts.kept.sum()):,} of "
            f"{len(counts.counts):,} types are kept."
        )
        made.append(Picture("zipf.png", "zipf", "How often words occur", shows))
    text = json.dumps([asdict(picture) for picture in made], indent=1, ensure_ascii=False)
    (out / LIST).write_text(text, encoding="utf-8", errors="backslashreplace")


def read_pictures(folder: Path) -> list[Picture]:
    """Read the list of charts that `draw` has written into a folder."""
    return [Picture(**fields) for fields in json.loads((folder / LIST).read_bytes())]


def _loss(out: Path, findings: Findings, title: str, kept: int | None) -> Iterator[Picture]:
    if not findings.epochs:
        return
    ends = np.cumsum([epoch.words for epoch in findings.epochs])
    epochs = [
        {"words": int(end), "loss": epoch.loss, "heldout_loss": epoch.heldout_loss}
        for end, epoch in zip(ends, findings.epochs, strict=True)
    ]
    points = [(point.words, point.loss) for point in findings.points if point.loss is not None]
    charts.loss_curve(points, epochs, out / "loss.png", title)
    last = findings.epochs[-1]
    losses = {"in training": last.loss, "held out": last.heldout_loss}
    final = " and ".join(
        f"{value:.3f} nats {name}" for name, value in losses.items() if value is not None
    )
    shows = f"Mean loss over {int(ends[-1]):,} words; the last epoch ended with {final}."
    yield Picture("loss.png", "loss", "Loss over words seen", shows)
    if any(epoch.scores for epoch in findings.epochs):
        curves = [asdict(epoch) for epoch in findings.epochs]
        marked = None if kept == last.epoch else kept
        charts.score_curves(curves, out / "scores.png", title, marked)
        final = ", ".join(f"{name} {value:.3f}" for name, value in last.scores.items())
        shows = f"Scores after epochs of training; after the last one: {final or 'none'}."
        if marked is not None:
            shows += f" The vectors of epoch {marked} were kept."
        yield Picture("scores.png", "loss", "Scores while training", shows)


def _maps(
    out: Path,
    findings: Findings,
    title: str,
    methods: Sequence[str],
    map_words: int,
    vocabulary: int,
) -> Iterator[Picture]:
    if not methods:
        return
    vectors, neighbours = findings.vectors, findings.neighbours
    nearest = [row["neighbour"] for row in neighbours if row["rank"] <= 2]
    every = [row["neighbour"] for row in neighbours]
    words = list(dict.fromkeys([*findings.probes, *nearest]))
    words = words[: len(findings.probes) + MAP_NEIGHBOURS]
    counts = None if vectors.counts is None else vectors.counts[[vectors.row(w) for w in words]]
    for projection in project_by(vectors, words, methods):
        file = f"map-{projection.method}.png"
        word_map(words, projection.xy, out / file, counts, title, projection.axes)
        shows = f"{len(words)} words in the plane by {projection.about}."
        yield Picture(file, "map", f"Words by {projection.name}", shows)
    words = map_page.words_to_map(vectors, [*words, *every], map_words)
    projections = project_by(vectors, words, methods)
    map_page.write_map(out / MAP, vectors, words, projections, title, vocabulary)


def _similarity(out: Path, findings: Findings) -> Iterator[Picture]:
    scores = {row["benchmark"]: row for row in findings.similarity}
    for name, pairs in by_benchmark(findings.pairs).items():
        used = sum(row["used"] for row in pairs)
        if not used:
            continue
        spearman, low, high = (
            None if np.isnan(scores[name][key]) else float(scores[name][key])
            for key in ("spearman", "low", "high")
        )
        interval = None if low is None or high is None else (low, high)
        file = f"similarity-{name}.png"  # settings allow only names that are safe in file names
        charts.similarity_scatter(pairs, out / file, name, spearman, interval)
        shows = f"Cosines over human scores of {used:,} pairs of {name}."
        yield Picture(file, "similarity", f"Model and people: {name}", shows)


def _analogies(out: Path, findings: Findings) -> Iterator[Picture]:
    for name, table in by_benchmark(findings.analogies).items():
        parts = [row for row in table if row["category"] != "all" and row["questions"] > 0]
        if not parts:
            continue
        file = f"analogies-{name}.png"
        title = f"{name}: answers among the {table[0]['vocabulary']:,} most frequent words"
        charts.analogy_accuracy(parts, out / file, title)
        count = len({(row["section"], row["category"]) for row in parts})
        shows = f"Accuracy of {name} in {count} categories that have questions, with intervals."
        yield Picture(file, "analogy", f"Analogies by category: {name}", shows)


def by_benchmark(table: Sequence[Row]) -> dict[str, list[Row]]:
    """Group the rows of a table by the name of their benchmark, in the order of the table."""
    found: dict[str, list[Row]] = {}
    for row in table:
        found.setdefault(row["benchmark"], []).append(row)
    return found
