"""Write ``report.html``: one page with the scores, charts, neighbors and settings of a run.

The page is made from the run's summary, vocabulary, tables of results and charts. This module
imports neither pandas nor matplotlib, because their import takes longer than writing the page.
"""

import csv
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from w2v.evaluate.datasets import Dataset, about
from w2v.evaluate.metrics.tables import COLUMNS
from w2v.files import read_vocabulary
from w2v.labels import format_rate
from w2v.objectives import ARCHITECTURES
from w2v.report.figures import KINDS, read_pictures
from w2v.report.page import embedded_image, write_page
from w2v.vectors.formats import VOCABULARY

REPORT = "report.html"

Row = dict[str, Any]

NEIGHBOURS = 8  # listed for each word
FREQUENT_WORDS = 24
SOFTWARE = ("w2v-experiments", "numpy", "numba", "scipy")
DASH = "–"


@dataclass(frozen=True)
class Scale:
    """The common axis of the small charts of confidence intervals in a column of a table.

    Attributes
    ----------
    low, high
        The smallest and the largest value on the axis.
    digits
        The number of decimals of the interval limits.
    factor
        The number by which values are multiplied when they are displayed, such as 100 for
        percentages.
    """

    low: float
    high: float
    digits: int
    factor: float = 1.0

    @classmethod
    def of(cls, rows: Sequence[Row], column: str, digits: int, factor: float = 1.0) -> "Scale":
        """Return an axis that covers 0, the values of a table column, and their intervals.

        `column` is the name of the column. The ends of a value's interval are in the columns
        ``low`` and ``high``. Values that are None are left out. `digits` and `factor` become
        attributes of the result, and do not change the axis.
        """
        values = [row[key] for row in rows for key in (column, "low", "high")]
        known = [0.0, *(value for value in values if value is not None)]
        return cls(min(known), max(known), digits, factor)

    def x(self, value: float) -> float:
        """Return the horizontal position of a value, in pixels, in an image 130 pixels wide."""
        span = (self.high - self.low) or 1.0
        return round(6 + 118 * (value - self.low) / span, 1)


def write_report(
    path: Path,
    evaluated: Path,
    drawn: Path,
    summary: Mapping[str, Any],
    trained: Path | None,
    *,
    title: str,
    command: str,
    when: datetime,
    change_page: str | None = None,
) -> None:
    """Write the report of a run, an HTML page, from its summary, its tables and its charts.

    User names and passwords in URLs are removed from the command and the settings.

    Parameters
    ----------
    path
        The HTML file to write.
    evaluated
        The folder with the tables of results.
    drawn
        The folder into which `w2v.report.figures.draw` has written the charts.
    summary
        The content of the run's ``summary.json``.
    trained
        The folder of the training result; None if nothing was trained.
    when
        The time that the page shows, with a time zone.
    change_page
        The name of an HTML file beside `path`: the page on words that two texts use differently.
        None if there is none.
    """
    similarity, all_analogies, neighbours, bands = (
        read_table(evaluated, name) for name in ("similarity", "analogies", "neighbours", "bands")
    )
    methods, analogies = analogy_totals(all_analogies)
    training = summary.get("train")
    config = summary["config"] if training else {"evaluate": summary["config"]["evaluate"]}
    settings = list(setting_groups(config))
    command = without_passwords(command)
    texts = [command, *(value for _, values in settings for _, value in values)]
    write_page(
        path,
        "report.html",
        ("style.css", "report.css"),
        filters=(number, percent, count, seconds),
        title=title,
        kind="trained and evaluated" if training else "evaluated",
        when=f"{when.day} {when:%B %Y, %H:%M %Z}".strip(),
        tiles=tiles(training, similarity, analogies),
        similarity=similarity,
        similarity_scale=Scale.of(similarity, "spearman", 2),
        analogies=analogies,
        oov=summary["config"]["evaluate"]["oov"],
        methods=methods,
        analogy_scale=Scale.of(analogies, "accuracy", 1, 100.0),
        benchmarks=benchmarks(summary["config"]["evaluate"]),
        bands=[row for row in bands if row["used"]],
        stability=summary["evaluate"].get("stability"),
        change_page=change_page,
        training=training,
        loss_per=ARCHITECTURES[config["model"]["name"]][0].loss_per if training else None,
        noise_words="negatives" in config.get("loss", ()),
        neighbours=[
            (word, list(islice(rows, NEIGHBOURS)))
            for word, rows in groupby(neighbours, key=lambda row: row["word"])
        ],
        corpus=corpus_facts(summary),
        frequent=frequent_words(trained),
        pictures=pictures(drawn),
        command=command.split("\n"),
        redacted=any("://***@" in text for text in texts),
        stages=summary["stages"],
        settings=settings,
        software=software(),
    )


def benchmarks(settings: Mapping[str, Any]) -> list[tuple[str, Dataset]]:
    """Return the name and the description of each benchmark that a run used.

    Benchmarks from files of the user are left out. `settings` is the group ``evaluate`` of the
    run's settings.
    """
    named = [*settings["similarity"].items(), *settings["analogy"].items()]
    found = [(name, about(name, source)) for name, source in named]
    return [(name, dataset) for name, dataset in found if dataset is not None]


def read_table(folder: Path, name: str) -> list[Row]:
    """Read a table of results, such as ``similarity``, from its CSV file in a folder.

    `w2v.evaluate.metrics.tables.COLUMNS` has the types of the table's columns.

    Returns
    -------
    list of dict
        For each row, its values by column name. Values of the type ``str`` are texts. Numbers, also
        integers, are floats, and undefined numbers are None.

    Raises
    ------
    ValueError
        A column has the type ``bool``, which cannot be read, and the table is not empty.
    """
    types = COLUMNS[name]
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return [
            {
                column: text if types[column] == "str" else (float(text) if text else None)
                for column, text in row.items()
            }
            for row in csv.DictReader(file)
        ]


def analogy_totals(rows: Sequence[Row]) -> tuple[list[str], list[Row]]:
    """Return the methods of solving analogies, and the results summed over categories.

    Parameters
    ----------
    rows
        The table of analogy results, with a row for each method and category. Rows with the
        category ``all`` are sums over categories: of a section (``semantic`` or ``syntactic``), or
        of all sections.

    Returns
    -------
    methods
        The names of the methods.
    totals
        The first method's rows with the category ``all``; for each benchmark, the row of all
        sections comes first. Three columns are added: ``accuracy_5``, the fraction of used
        questions whose right answer is among the first five; ``coverage``, the fraction of
        questions whose words are all in the vocabulary; and ``others``, a dict from each method's
        name to its accuracy on the same questions. A fraction of no questions is None.
    """
    totals = [row for row in rows if row["category"] == "all"]
    methods = list(dict.fromkeys(row["method"] for row in totals))
    benchmarks = list(dict.fromkeys(row["benchmark"] for row in totals))
    totals.sort(key=lambda row: (benchmarks.index(row["benchmark"]), row["section"] != "all"))
    accuracies: dict[tuple[str, str], dict[str, float | None]] = {}
    for row in totals:
        key = row["benchmark"], row["section"]
        accuracies.setdefault(key, {})[row["method"]] = row["accuracy"]
    return methods, [
        row
        | {
            "accuracy_5": row["correct_5"] / row["questions"] if row["questions"] else None,
            "coverage": row["known"] / row["total"] if row["total"] else None,
            "others": accuracies[row["benchmark"], row["section"]],
        }
        for row in totals
        if row["method"] == methods[0]
    ]


def tiles(
    training: Mapping[str, Any] | None, similarity: Sequence[Row], analogies: Sequence[Row]
) -> list[dict[str, str]]:
    """Return the main results for the top of the report, each as a name, a value and a note.

    Parameters
    ----------
    training
        The section ``train`` of the run's summary; None if nothing was trained.
    similarity
        The table of scores on similarity benchmarks. The first three rows are used.
    analogies
        The total results that `analogy_totals` returned. The first row is used.
    """
    found = []
    if training:
        epochs, kept = training["epochs"], training["kept_epoch"]
        after = epochs[kept - 1]
        kind = "loss" if after["heldout_loss"] is None else "heldout_loss"
        name = "Training loss" if kind == "loss" else "Held-out loss"
        note = f"nats, after {plural(kept, 'epoch')}"
        if kept < len(epochs):
            note += f", the best of {len(epochs)}"
        found.append((name, number(after[kind], 3), note))
        speed, unit = format_rate(training["words_per_second"]).rsplit(maxsplit=1)
        threads = plural(training["threads"], "thread")
        found.append(("Speed", speed, f"{unit}, {training['engine']}, {threads}"))
    for row in similarity[:3]:
        note = f"{count(row['pairs'])} of {count(row['total'])} pairs"
        if row["low"] is not None:
            note = f"{number(row['low'], 2)} … {number(row['high'], 2)}, {note}"
        found.append((f"{row['benchmark']}, Spearman", number(row["spearman"], 2), note))
    for row in analogies[:1]:
        note = f"{count(row['questions'])} of {count(row['total'])} questions"
        found.append((f"{row['benchmark']}, {row['method']}", percent(row["accuracy"]), note))
    return [{"name": name, "value": value, "note": note} for name, value, note in found]


def corpus_facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the sizes of the corpus and the vocabulary, each as a name and a text.

    `summary` is the content of the run's ``summary.json``. If it does not have both the corpus and
    the vocabulary, the result is empty.
    """
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


def frequent_words(trained: Path | None) -> list[tuple[str, int]]:
    """Return the `FREQUENT_WORDS` most frequent words of a run with their counts, if known.

    The list is empty if the vocabulary has no counts, or if `trained`, the folder of the training
    result, is None.
    """
    if trained is None:
        return []
    words, counts = read_vocabulary(trained / VOCABULARY)
    return [] if counts is None else list(zip(words, counts.tolist(), strict=True))[:FREQUENT_WORDS]


def pictures(folder: Path) -> dict[str, list[Row]]:
    """Return a list of charts for each kind of chart, such as ``loss`` or ``map``.

    The kinds are the keys of the result. Each chart is a dictionary with the attributes of
    `w2v.report.figures.Picture` and ``image``, the chart as a ``data:`` URL.

    Parameters
    ----------
    folder
        The folder into which `w2v.report.figures.draw` has written the charts.
    """
    found: dict[str, list[Row]] = {kind: [] for kind in KINDS}
    for picture in read_pictures(folder):
        row = {**asdict(picture), "image": embedded_image(folder / picture.file)}
        found[picture.kind].append(row)
    return found


def setting_groups(config: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield each group of settings: its name, and the name and the value (as text) of each setting.

    Settings outside of any group form the last group, ``experiment``.
    """
    groups = {key: value for key, value in config.items() if isinstance(value, dict)}
    if single := {key: value for key, value in config.items() if key not in groups}:
        groups["experiment"] = single
    for name, values in groups.items():
        yield name, [(key, setting_text(value)) for key, value in values.items()]


def setting_text(value: Any) -> str:
    """Return the value of a setting as text, such as ``null`` or ``[a, b]``.

    User names and passwords in URLs are replaced by ``***``.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(setting_text, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {setting_text(item)}' for key, item in value.items())}}}"
    return without_passwords(str(value))


def without_passwords(text: str) -> str:
    """Replace the user name and password of URLs, ``user:password@`` or ``user@``, by ``***@``.

    A password may have ``/`` and ``@`` in it, as keys of S3 have, so what follows ``user:`` counts
    as the password up to the last ``@`` before a space.
    """
    return re.sub(r"(://)([^/@:\s]*:\S*|[^/@\s]+)@", r"\1***@", text)


def software() -> str:
    """Return the versions of Python and of some packages, and the platform, in one line."""
    parts = [f"Python {platform.python_version()}"]
    for name in SOFTWARE:
        try:
            parts.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return " · ".join([*parts, platform.platform(terse=True)])


def number(value: float | None, digits: int, factor: float = 1.0) -> str:
    """Return a number, multiplied by `factor`, as text with `digits` decimals.

    The text is a dash for None. The minus sign is that of Unicode; a number that is rounded to 0
    has none.
    """
    if value is None:
        return DASH
    text = f"{factor * value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def percent(value: float | None) -> str:
    """Format a fraction as a percentage, such as ``12.3 %``; a dash if it is None."""
    return DASH if value is None else f"{number(value, 1, 100.0)} %"


def count(value: float) -> str:
    """Format a whole number with commas between the thousands."""
    return f"{int(value):,}"


def plural(value: int, noun: str) -> str:
    """Return a number with a noun in the singular or plural: ``1 epoch``, ``2 epochs``."""
    return f"{value} {noun}{'' if value == 1 else 's'}"


def seconds(value: float) -> str:
    """Format a time given in seconds.

    It is shown in seconds below two minutes, in minutes and seconds below two hours, or else in
    hours and minutes. Less than 0.05 seconds becomes ``< 0.1 s``.
    """
    if value < 120:
        return f"{value:.1f} s" if value >= 0.05 else "< 0.1 s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
