"""The results of a sweep as text: a page in Markdown, and lines on runs that failed."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from w2v.evaluate.advice import advice
from w2v.evaluate.sweep import Sweep
from w2v.evaluate.verdicts import sentences
from w2v.labels import as_text, format_figure, shortened

MAX_SHOWN = 20
"""How many configurations, reasons for failures, and jobs per reason are listed at most."""

VERDICTS = (
    "Seeds and pairs are samples: the chance that any better or worse here is wrong is at most 5 % "
    "(half of it for the objective). No difference shown does not mean equal."
)
"""A note for users on how likely it is that a verdict ``better`` or ``worse`` is wrong."""


def sweep_markdown(
    result: Sweep[Any], rows: Sequence[Mapping[str, Any]], command: str, failures: Sequence[str]
) -> str:
    """Return the results of a sweep in Markdown.

    Parameters
    ----------
    rows
        The table `Sweep.configurations`, with None in place of NaN.
    command
        The command that has made the sweep.
    failures
        Lines on the runs that failed, as `failure_lines` returns them.
    """
    lines = [f"`{command}`", "", f"By {result.objective}; {VERDICTS}", ""]
    lines += [*(f"- {line}" for line in [*sentences(result.judged)[:40], *advice(result)]), ""]
    axes = result.settings
    head = [*axes, "mean", "95 % interval", "seeds", "verdict"]
    lines += [" | ".join(head), " | ".join("---" for _ in head)]
    rows = rows[:40]  # more would hide the rest of the page
    short = {axis: shortened(as_text(row[axis]) for row in rows) for axis in axes}
    for row in rows:
        spread = "–" if row["low"] is None else f"{row['low']:.4f} … {row['high']:.4f}"
        cells = [short[axis][as_text(row[axis])] for axis in axes]
        cells += [format_figure(row["mean"], ".4f"), spread, str(row["seeds"]), row["verdict"]]
        lines.append(" | ".join(cell.replace("|", "\\|") for cell in cells))
    return "\n".join([*lines, *([""] if failures else []), *(f"- {line}" for line in failures)])


def failure_lines(failed: Iterable[tuple[int, str]]) -> list[str]:
    """Return lines on runs that failed, one for each of the first `MAX_SHOWN` reasons.

    A line has a reason, the numbers of the first `MAX_SHOWN` runs that failed for it, and how many
    further runs did. If there are further reasons, a last line says how many. `failed` has the
    number of each run that failed, and the reason.
    """
    found: dict[str, list[str]] = {}
    for number, reason in failed:
        found.setdefault(reason, []).append(str(number))
    lines = []
    for reason, numbers in itertools.islice(found.items(), MAX_SHOWN):
        named, more = ", ".join(numbers[:MAX_SHOWN]), len(numbers) - MAX_SHOWN
        named += f" and {more} more" * (more > 0)
        lines.append(f"job{'s' * (len(numbers) > 1)} {named} {reason}")
    if len(found) > MAX_SHOWN:
        lines.append(f"{len(found) - MAX_SHOWN} other reasons are in jobs.csv")
    return lines
