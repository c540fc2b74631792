"""The pictures of a run: which there are, what they are called, and what they show."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.report import map as maps
from pipeline.report import plots

if TYPE_CHECKING:
    from pipeline.stages.evaluate import Findings

LIST = "pictures.json"
MAP = "map.html"

LABELLED = 60
"""Words on the picture of the map beside the probes."""


@dataclass(frozen=True)
class Picture:
    """A picture in a folder.

    Attributes
    ----------
    file
        Its name.
    kind
        ``loss``, ``map``, ``similarity``, ``analogy`` or ``zipf``.
    title
        A line to stand over it.
    shows
        What it shows, in words, for whoever cannot see it.
    """

    file: str
    kind: str
    title: str
    shows: str


@dataclass(frozen=True)
class Counts:
    """How often each type of the corpus occurs, and which are in the vocabulary.

    Attributes
    ----------
    counts : int64 (types,)
    kept : bool (types,)
    """

    counts: NDArray[np.int64]
    kept: NDArray[np.bool_]


def draw(
    out: Path,
    findings: "Findings",
    *,
    title: str,
    counts: Counts | None,
    methods: Sequence[str],
    map_words: int,
    vocabulary: int,
) -> None:
    """Write the pictures (PNG), the map to explore, and the list of them, into a folder.

    Parameters
    ----------
    title
        Names the run.
    counts
        Of the corpus; ``None`` where the vectors come without one.
    methods
        Names in `pipeline.report.map.METHODS`: a picture each, and all in one page. None: no map.
    map_words
        How many words the page shows.
    vocabulary
        The page looks for neighbours among so many most frequent words.
    """
    made = [
        *_loss(out, findings, title),
        *_maps(out, findings, title, methods, map_words, vocabulary),
        *_similarity(out, findings),
        *_analogies(out, findings),
    ]
    if counts is not None:
        plots.zipf(counts.counts, counts.kept, out / "zipf.png")
        made.append(
            Picture(
                "zipf.png",
                "zipf",
                "How often words occur",
                f"Occurrences over rank, both by powers of ten: {int(counts.kept.sum()):,} of "
                f"{len(counts.counts):,} types are kept.",
            )
        )
    text = json.dumps([asdict(picture) for picture in made], indent=1, ensure_ascii=False)
    (out / LIST).write_text(text, encoding="utf-8", errors="backslashreplace")


def read_pictures(folder: Path) -> list[Picture]:
    """The pictures that `draw` left in a folder."""
    return [Picture(**one) for one in json.loads((folder / LIST).read_bytes())]


def _loss(out: Path, findings: "Findings", title: str) -> Iterator[Picture]:
    if not findings.epochs:  # the vectors were made elsewhere
        return
    ends = np.cumsum([epoch.words for epoch in findings.epochs])
    epochs = [
        {"words": int(end), "loss": epoch.loss, "heldout_loss": epoch.heldout_loss}
        for end, epoch in zip(ends, findings.epochs, strict=True)
    ]
    points = [(point.words, point.loss) for point in findings.points if point.loss is not None]
    plots.loss_curve(points, epochs, out / "loss.png", title)
    last = findings.epochs[-1]
    losses = {"training": last.loss, "held-out": last.heldout_loss}
    told = " and ".join(
        f"{value:.3f} nats in {name}" for name, value in losses.items() if value is not None
    )
    shows = f"Mean loss per pair over {int(ends[-1]):,} words; the last epoch ended with {told}."
    yield Picture("loss.png", "loss", "Loss over words seen", shows)


def _maps(
    out: Path,
    findings: "Findings",
    title: str,
    methods: Sequence[str],
    map_words: int,
    vocabulary: int,
) -> Iterator[Picture]:
    if not methods:
        return
    vectors, near = findings.vectors, findings.neighbours
    nearest = near["neighbour"][near["rank"] <= 2].tolist()
    words = list(dict.fromkeys([*findings.probes, *nearest]))[: len(findings.probes) + LABELLED]
    counts = None if vectors.counts is None else [vectors.counts[vectors.row(w)] for w in words]
    for shown in maps.projections(vectors, words, methods):
        file = f"map-{shown.method}.png"
        plots.word_map(words, shown.xy, out / file, counts, title, shown.axes)
        shows = f"{len(words)} words in the plane, by {shown.name}; {shown.about}."
        yield Picture(file, "map", f"Words by {shown.name}", shows)
    words = maps.words_to_map(vectors, [*words, *near["neighbour"].tolist()], map_words)
    shown_all = maps.projections(vectors, words, methods)
    maps.write_map(out / MAP, vectors, words, shown_all, title, vocabulary)


def _similarity(out: Path, findings: "Findings") -> Iterator[Picture]:
    names: set[str] = set()
    scores = {row["benchmark"]: row for row in findings.similarity.to_dict("records")}
    for name, pairs in findings.pairs.groupby("benchmark", sort=False):
        spearman, low, high = (float(scores[name][key]) for key in ("spearman", "low", "high"))
        if not pairs["used"].any():
            continue
        file = _file(f"similarity-{name}", names)
        plots.agreement(
            pairs,
            out / file,
            str(name),
            None if np.isnan(spearman) else spearman,
            None if np.isnan(low) else (low, high),
        )
        shows = f"Cosines over human scores of {int(pairs['used'].sum()):,} pairs of {name}."
        yield Picture(file, "similarity", f"Model and people: {name}", shows)


def _analogies(out: Path, findings: "Findings") -> Iterator[Picture]:
    names: set[str] = set()
    for name, table in findings.analogies.groupby("benchmark", sort=False):
        parts = table[(table["category"] != "all") & (table["questions"] > 0)]
        if parts.empty:
            continue
        file = _file(f"analogies-{name}", names)
        within = int(table["vocabulary"].iloc[0])
        title = f"{name}: answers among the {within:,} most frequent words"
        plots.analogy_accuracy(parts, out / file, title)
        count = len(parts[["section", "category"]].drop_duplicates())
        shows = f"Accuracy of {name} in {count} categories that have questions, with intervals."
        yield Picture(file, "analogy", f"Analogies by category: {name}", shows)


def _file(stem: str, taken: set[str]) -> str:
    """A file name for any text, told apart from those that are taken."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", stem)[:80]
    name, number = safe, 2
    while name.casefold() in taken:
        name, number = f"{safe}-{number}", number + 1
    taken.add(name.casefold())
    return f"{name}.png"
