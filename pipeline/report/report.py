"""The report of a run: one page with all that it was and all that it gave.

It is made of the summary and of the files that the stages left, so that a run which finds
everything in the cache has its own at the cost of filling in a template.
"""

import csv
import platform
import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from pipeline.report.figures import read_pictures
from pipeline.report.html import embedded_image, write_page

REPORT = "report.html"

Row = dict[str, Any]

NAMES = ("benchmark", "vectors", "oov", "method", "section", "category", "metric")
WORDS = ("word", "neighbour", "word_1", "word_2")
"""Columns of text; all others hold numbers."""

NEAREST = 8
FREQUENT = 24
SOFTWARE = ("numpy", "numba", "scipy")

_PASSWORD = re.compile(r"(://)[^/@\s]+@")
DASH = "–"


@dataclass(frozen=True)
class Scale:
    """The common axis of some intervals, 130 wide, and how its figures are written."""

    low: float
    high: float
    digits: int
    factor: float = 1.0

    @classmethod
    def over(cls, values: Iterable[float | None], digits: int, factor: float = 1.0) -> "Scale":
        """An axis that holds 0 and all the values."""
        known = [0.0, *(value for value in values if value is not None)]
        return cls(min(known), max(known), digits, factor)

    def x(self, value: float) -> float:
        """Where a value stands on it."""
        span = (self.high - self.low) or 1.0
        return round(6 + 118 * (value - self.low) / span, 1)


def write_report(
    path: Path,
    judged: Path,
    summary: Mapping[str, Any],
    *,
    title: str,
    command: str,
    when: datetime,
) -> None:
    """Write the page of a run.

    Parameters
    ----------
    judged
        The folder of the stage ``evaluate``.
    summary
        What `pipeline.experiment` writes as ``summary.json``.
    title
        Names the run.
    command
        Repeats it. Passwords in it, and in the settings, are not shown.
    when
        The run ended, with its zone.
    """
    tables = {
        name: read_table(judged / f"{name}.csv")
        for name in ("similarity", "analogies", "neighbours", "bands")
    }
    similarity, bands = tables["similarity"], tables["bands"]
    methods, analogies = sums(tables["analogies"])
    training = summary.get("train")
    config = summary["config"]
    if not training:  # what was not done is not told
        config = {"evaluate": config["evaluate"]}
    settings = list(sections(config))
    shown = without_passwords(command)
    told = [shown, *(value for _, values in settings for _, value in values)]
    write_page(
        path,
        "report.html",
        ("style.css", "report.css"),
        filters=FILTERS,
        title=title,
        kind="trained and judged" if training else "judged",
        when=f"{when.day} {when:%B %Y, %H:%M %Z}".strip(),
        tiles=tiles(training, similarity, analogies),
        similarity=similarity,
        similarity_scale=scale_of(similarity, "spearman", 2),
        analogies=analogies,
        methods=methods,
        analogy_scale=scale_of(analogies, "accuracy", 1, 100.0),
        bands=[row for row in bands if row["used"]],
        stability=summary["evaluate"].get("stability"),
        training=training,
        neighbours=[
            (word, list(rows)[:NEAREST])
            for word, rows in groupby(tables["neighbours"], key=lambda row: row["word"])
        ],
        corpus=corpus_facts(summary),
        frequent=frequent_words(summary),
        pictures=pictures(judged),
        command=shown.split("\n"),
        redacted=any("://***@" in text for text in told),
        times=times(summary["stages"]),
        settings=settings,
        software=software(),
    )


def read_table(path: Path) -> list[Row]:
    """The rows of a table; a number that is not defined is None."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {
                key: text if key in NAMES + WORDS else (float(text) if text else None)
                for key, text in row.items()
            }
            for row in csv.DictReader(file)
        ]


def sums(rows: Sequence[Row]) -> tuple[list[str], list[Row]]:
    """The methods, and the sums of each benchmark by the first of them, with their shares.

    The whole of a benchmark stands before its sections; ``others`` holds the accuracies of the
    other methods.
    """
    totals = [row for row in rows if row["category"] == "all"]
    methods = list(dict.fromkeys(row["method"] for row in totals))
    found: dict[tuple[str, str], Row] = {}
    for row in sorted(totals, key=lambda row: row["section"] != "all"):
        asked, given, key = row["questions"], row["total"], (row["benchmark"], row["section"])
        if row["method"] == methods[0]:
            found[key] = {
                **row,
                "accuracy_5": row["correct_5"] / asked if asked else None,
                "coverage": asked / given if given else None,
                "others": {},
            }
    for row in totals:
        found[row["benchmark"], row["section"]]["others"][row["method"]] = row["accuracy"]
    names = list(dict.fromkeys(row["benchmark"] for row in totals))
    return methods, sorted(found.values(), key=lambda row: names.index(row["benchmark"]))


def scale_of(rows: Sequence[Row], value: str, digits: int, factor: float = 1.0) -> Scale:
    """The axis for a column and its intervals."""
    values = (row[key] for row in rows for key in (value, "low", "high"))
    return Scale.over(values, digits, factor)


def tiles(
    training: Mapping[str, Any] | None, similarity: Sequence[Row], analogies: Sequence[Row]
) -> list[dict[str, str]]:
    """What to see first: name, value and a note each."""
    shown = []
    if training:
        last = training["epochs"][-1]
        held_out = last["heldout_loss"] is not None
        shown.append(
            {
                "name": "Held-out loss" if held_out else "Training loss",
                "value": figure(last["heldout_loss"] if held_out else last["loss"], 3),
                "note": f"nats a pair, after {last['epoch']} "
                + ("epoch" if last["epoch"] == 1 else "epochs"),
            }
        )
        shown.append(
            {
                "name": "Speed",
                "value": f"{training['words_per_second'] / 1000:,.0f} k",
                "note": f"words a second, {training['engine']}, {training['threads']} "
                + ("thread" if training["threads"] == 1 else "threads"),
            }
        )
    for row in similarity[:3]:
        between = f"{figure(row['low'], 2)} … {figure(row['high'], 2)}, "
        used = f"{count(row['pairs'])} of {count(row['total'])} pairs"
        note = used if row["low"] is None else between + used
        name = f"{row['benchmark']}, Spearman"
        shown.append({"name": name, "value": figure(row["spearman"], 2), "note": note})
    overall = [row for row in analogies if row["section"] == "all"]
    for row in overall[:1]:
        used = f"{count(row['questions'])} of {count(row['total'])} questions"
        name = f"{row['benchmark']}, {row['method']}"
        shown.append({"name": name, "value": percent(row["accuracy"]), "note": used})
    return shown


def corpus_facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was read and what was kept; nothing where the vectors come without a corpus."""
    corpus, vocab = summary.get("corpus"), summary.get("vocab")
    if not corpus or not vocab:
        return []
    kept, dropped = vocab["tokens_kept"], vocab["tokens_dropped"]
    return [
        ("Documents", count(corpus["documents"])),
        ("Text", f"{corpus['bytes'] / 1e6:,.1f} MB"),
        ("Tokens", count(corpus["tokens"])),
        ("Types", count(corpus["types"])),
        ("Words in the vocabulary", count(vocab["size"])),
        ("Tokens covered", percent(kept / (kept + dropped))),
    ]


def frequent_words(summary: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The first words of the vocabulary with their counts."""
    if "files" not in summary or "vocab" not in summary:
        return []
    with Path(summary["files"]["vocabulary"]).open(encoding="utf-8", newline="\n") as file:
        rows = [line.rstrip("\n").split("\t") for line in islice(file, 1, FREQUENT + 1)]
    return [(word, int(number)) for word, number in rows]


def pictures(judged: Path) -> dict[str, list[Row]]:
    """The pictures by kind, each with its own bytes and its size in CSS pixels."""
    found: dict[str, list[Row]] = {
        kind: [] for kind in ("loss", "map", "similarity", "analogy", "zipf")
    }
    for one in read_pictures(judged):
        path = judged / one.file
        width, height = png_size(path)
        found[one.kind].append(
            {
                "source": embedded_image(path),
                "title": one.title,
                "shows": one.shows,
                "width": width // 2,
                "height": height // 2,
            }
        )
    return found


def png_size(path: Path) -> tuple[int, int]:
    """Width and height that stand in the header of a PNG file."""
    with path.open("rb") as file:
        width, height = struct.unpack(">16x2I", file.read(24))
    return width, height


def times(stages: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """How long each stage took, now or when it was made."""
    longest = max((stage["seconds"] for stage in stages.values()), default=0.0) or 1.0
    return [
        {
            "name": name,
            "seconds": stage["seconds"],
            "cached": stage["cached"],
            "width": round(100 * stage["seconds"] / longest, 1),
        }
        for name, stage in stages.items()
    ]


def sections(config: Mapping[str, Any]) -> Iterable[tuple[str, list[tuple[str, str]]]]:
    """The settings by section; those of no section stand in one of their own."""
    alone = {key: value for key, value in config.items() if not isinstance(value, dict)}
    groups = {key: value for key, value in config.items() if isinstance(value, dict)}
    for name, values in {**groups, **({"experiment": alone} if alone else {})}.items():
        yield name, [(key, setting(value)) for key, value in values.items()]


def setting(value: Any) -> str:
    """A value as it is written on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(setting, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {setting(item)}' for key, item in value.items())}}}"
    return without_passwords(str(value))


def without_passwords(text: str) -> str:
    """The text with ``user:password@`` in addresses replaced."""
    return _PASSWORD.sub(r"\1***@", text)


def software() -> str:
    """The versions that matter for the numbers, on one line."""
    parts = [f"Python {platform.python_version()}"]
    for name in ("w2v-experiments", *SOFTWARE):
        try:
            parts.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return " · ".join([*parts, platform.platform(terse=True)])


# What the template writes figures with.


def figure(value: float | None, digits: int, factor: float = 1.0) -> str:
    """So many decimals, with a true minus; a dash where there is no figure."""
    if value is None:
        return DASH
    text = f"{factor * value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def percent(value: float | None) -> str:
    """A share of one, in per cent."""
    return DASH if value is None else f"{figure(value, 1, 100.0)} %"


def count(value: float) -> str:
    """A whole number with its thousands apart."""
    return f"{int(value):,}"


def seconds(value: float) -> str:
    """Seconds below two minutes, minutes or hours above."""
    if value < 120:
        return f"{value:.1f} s" if value >= 0.05 else "< 0.1 s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


FILTERS: dict[str, Callable[..., str]] = {
    "figure": figure,
    "percent": percent,
    "count": count,
    "seconds": seconds,
}
"""For the template."""
