"""Write and print the results of a sweep: tables, plots, ``summary.json`` and HTML."""

import os
import shlex
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from pipeline.config.program import command_line
from pipeline.config.settings import direction_of
from pipeline.runtime.console import Display
from pipeline.sweeps.results import Job, write_json
from w2v.evaluate.advice import advice, by_group, effect_sizes
from w2v.evaluate.sweep import Sweep
from w2v.evaluate.verdicts import SHOWN, sentences
from w2v.labels import as_text
from w2v.report.evaluation import NEIGHBOURS
from w2v.report.report import REPORT
from w2v.report.sweep import write_sweep_page
from w2v.report.sweep_charts import draw_sweep
from w2v.report.sweep_text import MAX_SHOWN, VERDICTS, failure_lines
from w2v.tables import Row, typed_rows, without_nan, write_table

MAX_SENTENCES = 6
"""The most comparisons of configurations to print; those by the objective metric come first."""

NOT_COMPARABLE = "These settings change what is measured, so no two of them compare."
BY_SCORE = " Different models do by a score: search.objective=similarity/wordsim353/spearman"
ONE_SEED = "One seed each: add 'seed=range(3)' to learn which differences are more than chance."
ONE_SEED_SEARCH = (
    "One seed each, and the best of many is a lucky one: give its settings again with -m and "
    "'seed=range(3)' to learn what it is worth."
)


def write_results(folder: Path, result: Sweep[Job], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write a sweep's tables, plots, HTML page and ``summary.json`` into its `folder`.

    Return the content of ``summary.json``: the given `facts`, such as ``seconds``, as well as the
    tables, the best jobs, and how many jobs finished or failed.
    """
    tables = {"configurations": result.configurations, "effects": result.effects}
    columns = dict(result.columns)
    tables["verdicts"] = result.verdicts
    tables["jobs"], columns["jobs"] = jobs_table(result)
    for name, rows in tables.items():
        write_table(folder, name, rows, columns[name])
    for best in result.best_runs[:1]:
        if best.neighbours and Path(best.neighbours).exists():
            shutil.copyfile(best.neighbours, folder / NEIGHBOURS)
    summary = {
        **facts,
        "objective": result.objective,
        "difference": result.size,
        "direction": direction_of(result.objective),
        "axes": result.axes,
        "compared_within": result.compared_within,
        "counts": dict(Counter(job.status for job in result.runs)),
        "best_jobs": [job.number for job in result.best_runs],
        "trained": sum(job.cached is False for job in result.runs),
        "judged": sentences(result.judged),
        **{name: without_nan(rows) for name, rows in {"best": result.best, **tables}.items()},
    }
    write_json(folder / "summary.json", summary)
    draw_sweep(folder, result.first)
    write_sweep_page(folder, result.judged, summary, result.settings, advice(result))
    return summary


def jobs_table(result: Sweep[Job]) -> tuple[list[Row], dict[str, str]]:
    """Return a table with one row per job, and the data type of each column, such as ``int64``.

    The columns are settings that vary, metrics, and facts about the job, such as ``status``. If a
    config group has the name of a metric, such as ``loss``, its choice is in ``loss.name``.
    """
    figures = dict.fromkeys(name for job in result.runs for name in job.figures)
    figures.pop("seconds", None)  # a column of its own
    axes = {f"{axis}.name" if axis in figures else axis: axis for axis in result.axes}
    first = [result.objective] * (result.objective in figures)
    columns = {
        **{"job": "int64", "status": "str"},
        **dict.fromkeys(axes, "str"),
        **dict.fromkeys([*first, *figures], "float64"),
        **{"seconds": "float64", "cached": "bool", "run_id": "str", "reason": "str"},
    }
    rows = []
    for job in result.runs:
        given = job.settings
        chosen = {name: as_text(given[axis]) for name, axis in axes.items() if axis in given}
        rows.append({**job.figures, **vars(job), **chosen, "job": job.number})
    return typed_rows(rows, columns), columns


def print_results(
    display: Display, result: Sweep[Job], summary: Mapping[str, Any], reports: Sequence[Path]
) -> None:
    """Print a sweep's ranking, advice on how to read it, failures, and the paths of `reports`.

    `summary` is the content of ``summary.json``, as `write_results` returns it.
    """
    groups = by_group(result)
    if groups:
        each = max(1, MAX_SHOWN // len(groups))
        shown = {group: rows[:each] for group, rows in list(groups.items())[:MAX_SHOWN]}
        display.configurations(result.objective, result.settings, shown, result.compared_within)
        rows, total = sum(map(len, shown.values())), len(result.configurations)
        if rows < total:
            table = Path(summary["sweep_dir"], "configurations.csv")
            display.say(f"{rows} of {total} configurations, the best; all of them: {table}")
        verdicts = {row["verdict"] for row in summary["configurations"]}
        # Sentences that say nothing, as of single seeds, are left out: one line stands for all.
        said = sentences(result.judged)
        judged = [one for one in said if not one.endswith("nothing can be said")]
        for line in judged[:MAX_SENTENCES]:
            display.say(line)
        if len(judged) > MAX_SENTENCES:
            display.say(f"{len(judged) - MAX_SENTENCES} more: {summary['sweep_dir']}/verdicts.csv")
        if any(one.verdict in SHOWN for some in result.judged for one in some.differences):
            display.say(VERDICTS)
        if "one seed" in verdicts:
            display.say(ONE_SEED_SEARCH if summary["search"] else ONE_SEED)
        if verdicts == {"alone"} and len(groups) > 1:
            display.say(NOT_COMPARABLE + BY_SCORE * result.objective.endswith("loss"))
    for line in [*effect_sizes(result), *advice(result)]:
        display.say(line)
    for line in failures_of(result):
        display.say(line, "red")
    counts = ", ".join(f"{n} {status}" for status, n in summary["counts"].items())
    trained, seconds = summary["trained"], summary["seconds"]
    display.say(f"{counts or 'no jobs'}; {trained} trained now, {seconds:.0f} s in all")
    display.say(f"sweep     {summary['sweep_dir']}")
    folder = Path(summary["sweep_dir"])
    for path in [folder / REPORT, *reports]:
        display.say(f"report    {os.path.relpath(path)}")
    for job in result.finished:
        place = folder / str(job.number)
        if job.neighbours and not (place / REPORT).exists():
            start = "          of any other job" if reports else "report    of a job"
            display.say(f"{start}: {command_line()} {shlex.quote(f'report={place}')}")
            break
    if (results := folder / "optimization_results.yaml").exists():  # of a search that ended
        study = OmegaConf.load(results)
        params = " ".join(f"{key}={value}" for key, value in study.best_params.items())
        display.say(f"best      {study.best_value:.4f} of the whole study: {params}")


def failures_of(result: Sweep[Job]) -> list[str]:
    """Return a line for each reason why jobs did not finish, with the numbers of these jobs."""
    failed = [job for job in result.runs if job.status != "finished"]
    return failure_lines((job.number, f"{job.status}: {job.reason}") for job in failed)
