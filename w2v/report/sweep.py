"""Write ``report.html`` of a sweep: which settings give better scores, and how certain that is.

The page is made from the comparisons of `w2v.evaluate.verdicts`, the sweep's summary, and the
charts in its folder.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from w2v.evaluate.significance import Difference
from w2v.evaluate.statistics import nan_last
from w2v.evaluate.verdicts import MEAN_OF_SETS, SHOWN, Judged, digits_of, sentence
from w2v.report.page import embedded_image, write_page
from w2v.report.report import (
    DASH,
    REPORT,
    Scale,
    number,
    percent,
    plural,
    seconds,
    without_passwords,
)

MAX_ROWS = 40
"""The largest number of rows in a table on the page; the CSV files of the sweep have all rows."""

MAX_NAMES = 6
"""The largest number of configurations that a sentence names."""

CHARTS = {
    "effects.png": "What each setting does",
    "seconds.png": "What more training time gives",
    "parallel.png": "Every job",
}
"""The titles of the charts in the folder of a sweep, by file name."""


def write_sweep_page(
    folder: Path,
    judged: Sequence[Judged],
    summary: Mapping[str, Any],
    settings: Sequence[str],
    advice: Sequence[str] = (),
) -> None:
    """Write ``report.html``, which compares the configurations of a sweep, into its folder.

    Parameters
    ----------
    folder
        The folder of the sweep, with its charts.
    judged
        The comparisons of the configurations by each score.
    summary
        The content of the sweep's ``summary.json``.
    settings
        The names of the settings that the sweep varies, without the seed.
    advice
        Lines of advice and warnings on the results (`w2v.evaluate.advice.advice`).
    """
    rows = summary["configurations"]
    objective = summary["objective"]
    when = datetime.now().astimezone()
    charts = [(title, folder / file) for file, title in CHARTS.items() if (folder / file).exists()]
    write_page(
        folder / REPORT,
        "sweep.html",
        ("style.css", "report.css"),
        filters=(number, percent, seconds),
        title=" × ".join(settings) or "seeds",
        when=f"{when.day} {when:%B %Y, %H:%M %Z}".strip(),
        kind=f"{plural(len(rows), 'configuration')}, {plural(len(summary['jobs']), 'job')}",
        scores=[score_table(one) for one in judged],
        findings=list(findings(judged)),
        advice=[f"{line[0].upper()}{line[1:]}." for line in advice],
        objective=objective,
        sought=sought(judged, summary["difference"]),
        configurations=rows[:MAX_ROWS],
        of_all=len(rows),
        scale=Scale.of(rows, "mean", 3),
        settings=settings,
        failed=[row for row in summary["jobs"] if row["status"] != "finished"][:MAX_ROWS],
        charts=[(title, embedded_image(path)) for title, path in charts],
        command=without_passwords(summary["command"]),
    )


class Finding(NamedTuple):
    """The main result for one score, for the top of the page that compares configurations.

    Attributes
    ----------
    score
        The name of the score, as shown on the page.
    text
        The result as a sentence.
    kind
        The CSS class: ``shown`` if a configuration differs significantly from the reference (the
        configuration with which the others are compared), else ``open``.
    """

    score: str
    text: str
    kind: str


def findings(judged: Sequence[Judged]) -> Iterator[Finding]:
    """Yield the main result for each element of `judged`, for the top of the page of a sweep.

    An element holds the comparisons of configurations by one score. The result is a sentence that
    says how the configurations compare with one of them, the reference of the element.
    """
    for some in judged:
        name = readable(some.score) + (f" ({some.group})" if some.group else "")
        against = [one for one in some.differences if one.b == some.reference]
        shown = any(one.verdict in SHOWN for one in against)
        if len(against) == 1:
            text = sentence(some, against[0])
        else:
            groups: dict[str, list[str]] = {}
            for one in against:
                groups.setdefault(one.verdict, []).append(some.settings[one.a].name)
            parts = [f"{verdict}: {listed(names)}" for verdict, names in groups.items()]
            text = f"compared with {some.settings[some.reference].name}, {'; '.join(parts)}"
        yield Finding(name, f"{text[0].upper()}{text[1:]}.", "shown" if shown else "open")


def readable(score: str) -> str:
    """Return the name of a score as shown on the sweep's page, such as ``Held-out loss``."""
    if score == MEAN_OF_SETS:
        return "Mean of the similarity sets, Spearman’s correlation"
    kind, _, rest = score.partition("/")
    name, _, figure = rest.rpartition("/")
    if (kind, figure) == ("similarity", "spearman"):
        return f"{name}, Spearman’s correlation"
    if (kind, figure) == ("analogy", "accuracy"):
        return f"{name}, share of analogies answered correctly"
    return {"heldout_loss": "Held-out loss", "loss": "Training loss"}.get(score, score)


def listed(names: Sequence[str]) -> str:
    """Return a text with the first `MAX_NAMES` names and the number of others: ``a, b and 3 more``.

    If there are no others, the text has the names alone.
    """
    more = len(names) - MAX_NAMES
    text = ", ".join(names[:MAX_NAMES])
    return f"{text} and {more} more" if more > 0 else text


def score_table(judged: Judged) -> dict[str, Any]:
    """Return the data of a table that compares configurations by one score, for the sweep's page.

    Returns
    -------
    dict
        - ``name``, ``group``: the readable name of the score, and the name of the group of
          configurations that are compared, or "" if there are no groups;
        - ``means``: the name and mean of at most `MAX_ROWS` configurations, the best first, always
          with the reference (with which the others are compared). A mean that is NaN or infinite is
          None;
        - ``rows``: at most `MAX_ROWS` comparisons of two configurations, those with the reference
          first. Each is a dict of `Judged.rows` with four more keys: ``than``, equal to
          ``compared_with``; ``first``, whether ``compared_with`` is the reference;
          ``shows_nothing``, whether the seeds are too few to show any difference; and ``more``, how
          many seeds to add, as text (`seeds_to_add`);
        - ``all``: the number of all comparisons;
        - ``asked``: the page's word for a benchmark's items, "questions" (analogies) or "pairs";
        - ``digits``: the number of decimals of the means;
        - ``apart``: whether, in any comparison, the difference deviates from one configuration's
          mean minus the other's by more than one unit of the last decimal. The reason is that a
          comparison uses only the seeds, and the pairs or questions, that both configurations have;
        - ``scale``: the axis for drawing the differences, a `Scale`.
    """
    sign = -1 if judged.larger_is_better else 1
    order = sorted(range(len(judged.means)), key=lambda i: nan_last(sign * judged.means[i]))
    with_means = order[:MAX_ROWS]
    if judged.reference not in with_means:
        with_means[-1] = judged.reference
    rows = [
        {
            **row,
            "than": row["compared_with"],
            "shows_nothing": judged.shows_nothing(one),
            "first": one.b == judged.reference,
            "more": seeds_to_add(one),
        }
        for one, row in zip(judged.differences, judged.rows(), strict=True)
    ]
    widths = [row["high"] - row["low"] for row in rows if row["low"] is not None]
    shown = rows[:MAX_ROWS]
    digits = digits_of(min(widths)) if widths else 4
    means, unit = judged.means, 10.0 ** -max(3, digits)
    return {
        "name": readable(judged.score),
        "group": judged.group,
        "means": [
            (judged.settings[i].name, judged.means[i] if math.isfinite(judged.means[i]) else None)
            for i in with_means
        ],
        "rows": shown,
        "all": len(rows),
        "asked": "questions" if judged.score.startswith("analogy/") else "pairs",
        "digits": max(3, digits),
        "apart": any(
            abs(means[one.a] - means[one.b] - one.difference) > unit for one in judged.differences
        ),
        "scale": Scale.of(shown, "difference", digits),
    }


def sought(judged: Sequence[Judged], size: float | None) -> str:
    """Return a text that says which difference the page's column "More seeds" refers to.

    The column has the number of seeds that must be added for a difference between configurations
    to become significant. For benchmark scores, the difference is `size`, or the observed one if
    `size` is None or 0. For other scores, such as a loss, it is always the observed one. `judged`
    has the comparisons by each score. If it has benchmark scores, and `size` is used for them, the
    text gives `size` and names the other scores as exceptions.
    """
    others = dict.fromkeys(readable(one.score) for one in judged if "/" not in one.score)
    if not size or all("/" not in one.score for one in judged):
        return "the difference that was found"
    but = f" (for {', '.join(others)}: the one that was found)" if others else ""
    return f"the difference of {size}, search.difference{but}"


def seeds_to_add(one: Difference) -> str:
    """Return how many more seeds a difference needs to be significant, as text for a table.

    With so many seeds added, a true difference of ``one.size`` would be significant in 80 % of
    repetitions. Instead of a number, the text is

    - a dash if `one` is significant already, ``one.size`` is 0, or the two configurations cannot be
      compared;
    - ``more pairs`` if 1,000 seeds are not enough, or more seeds change nothing
      (`Comparison.fixed`);
    - ``over 1,000`` instead of ``more pairs`` if ``one.items``, the number of word pairs or
      questions, is None, as for a loss.
    """
    if one.verdict in SHOWN or not one.size or one.low is None:
        return DASH
    if one.seeds_needed is None:
        return "more pairs" if one.items else "over 1,000"
    return str(max(0, one.seeds_needed - one.seeds))
