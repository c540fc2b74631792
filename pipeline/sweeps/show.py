"""Write and print what a sweep found: tables, pictures, ``summary.json``, a note in Markdown."""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config.settings import direction_of
from pipeline.config.values import as_text, shortened
from pipeline.runtime.console import Display, format_duration
from pipeline.stages.evaluate import NEIGHBOURS
from pipeline.sweeps import plots
from pipeline.sweeps.analysis import SEED, Result, records
from pipeline.sweeps.results import Job, write_json

QUICKER = 0.8
"""A configuration is called quicker if it takes at most this share of the best one's time."""

NOTE_ROWS = 40
"""How many configurations the note in Markdown lists."""

VERDICTS = (
    "worse: beyond the noise of the seeds (Tukey's test over all pairs, 5 %); "
    "within noise: not told from the best."
)
NOT_COMPARABLE = (
    "These losses answer different questions, so no two of them compare. Compare by a score: "
    "search.objective=similarity/wordsim353/spearman"
)
ONE_SEED = "One seed each: add 'seed=range(3)' to learn which differences are more than chance."
ONE_SEED_SEARCH = (
    "One seed each, and the best of many is a lucky one: give its settings again with -m and "
    "'seed=range(3)' to learn what it is worth."
)


def write_results(folder: Path, result: Result, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the tables, the pictures and ``summary.json`` of a sweep.

    Parameters
    ----------
    facts
        What the summary tells besides the results.

    Returns
    -------
    dict
        The summary.
    """
    tables = {"jobs": result.table, "configurations": result.configurations}
    tables["effects"] = result.effects
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
        table.to_parquet(folder / f"{name}.parquet", index=False)
    best = [job for row in result.best for job in result.finished if job.number == first_job(row)]
    if best and best[0].neighbours and Path(best[0].neighbours).exists():
        shutil.copyfile(best[0].neighbours, folder / NEIGHBOURS)
    plots.draw(folder, result)
    summary = {
        **facts,
        "objective": result.objective,
        "direction": direction_of(result.objective),
        "axes": result.axes,
        "compared_within": result.compared_within,
        "counts": dict(Counter(job.status for job in result.jobs)),
        "trained": sum(job.cached is False for job in result.jobs),
        "best": result.best,
        "configurations": records(result.configurations),
        "effects": records(result.effects),
        "jobs": records(result.table),
    }
    write_json(folder / "summary.json", summary)
    return summary


def first_job(configuration: Mapping[str, Any]) -> int:
    """Return the number of the first job of a row of ``configurations``."""
    return int(configuration["jobs"].split()[0])


def markdown(result: Result, summary: Mapping[str, Any]) -> str:
    """Return the note that the tracked run of a sweep shows."""
    lines = [f"`{summary['command']}`", "", f"By {result.objective}; {VERDICTS}", ""]
    lines += [f"- {line}" for line in advice(result)] + [""]
    axes = [axis for axis in result.axes if axis != SEED]
    head = [*axes, "mean", "95 % interval", "seeds", "verdict"]
    lines += [" | ".join(head), " | ".join("---" for _ in head)]
    rows = summary["configurations"][:NOTE_ROWS]
    short = {axis: shortened(as_text(row[axis]) for row in rows) for axis in axes}
    for row in rows:
        spread = "–" if row["low"] is None else f"{row['low']:.4f} … {row['high']:.4f}"
        cells = [short[axis][as_text(row[axis])] for axis in axes]
        cells += [f"{row['mean']:.4f}", spread, str(row["seeds"]), row["verdict"]]
        lines.append(" | ".join(cell.replace("|", "\\|") for cell in cells))
    failed = failures(result.jobs)
    lines += [""] * bool(failed)
    lines += [f"- {', '.join(numbers)} {reason}" for reason, numbers in failed.items()]
    return "\n".join(lines)


def print_results(display: Display, result: Result, summary: Mapping[str, Any]) -> None:
    """Print the configurations of a sweep and what follows from them."""
    groups = by_group(summary["configurations"])
    if groups:
        axes = [axis for axis in result.axes if axis != SEED]
        display.configurations(result.objective, axes, groups, result.compared_within)
        verdicts = {row["verdict"] for row in summary["configurations"]}
        if verdicts & {"worse", "within noise"}:
            display.say(VERDICTS)
        if "one seed" in verdicts:
            display.say(ONE_SEED_SEARCH if summary["search"] else ONE_SEED)
        if verdicts == {"alone"} and len(groups) > 1:
            display.say(NOT_COMPARABLE)
    for line in [*effect_sizes(result), *advice(result)]:
        display.say(line)
    for reason, numbers in failures(result.jobs).items():
        display.say(f"job{'s' * (len(numbers) > 1)} {', '.join(numbers)} {reason}", "red")
    counts = ", ".join(f"{n} {status}" for status, n in summary["counts"].items())
    trained, seconds = summary["trained"], summary["seconds"]
    display.say(f"{counts or 'no jobs'}; {trained} trained now, {seconds:.0f} s in all")
    display.say(f"sweep     {summary['sweep_dir']}")


def effect_sizes(result: Result) -> list[str]:
    """Return a line that ranks the settings by how much they move the objective."""
    effects = result.effects[result.effects["setting"] != SEED]
    spans = effects.groupby("setting", sort=False)["effect"].agg(lambda one: one.max() - one.min())
    if spans.empty:
        return []
    ranked = sorted(spans.index, key=lambda name: -spans[name])
    sizes = ", ".join(f"{name} by {spans[name]:.4f}" for name in ranked)
    return [f"what moves {result.objective}, from its lowest mean to its highest: {sizes}"]


def advice(result: Result) -> list[str]:
    """Return sentences of advice that follow from the results."""
    lines = []
    axes = [axis for axis in result.axes if axis != SEED]
    for best, *others in by_group(records(result.configurations)).values():
        near = [row for row in others if row["verdict"] == "within noise" and row["seconds"]]
        quick = min(near, key=lambda row: float(row["seconds"]), default=best)
        if best["seconds"] and quick["seconds"] < QUICKER * best["seconds"]:
            settings = " ".join(
                f"{axis}={'null' if quick[axis] == as_text(None) else quick[axis]}"
                for axis in axes
                if quick[axis] is not None
            )
            lines.append(
                f"quickest within noise of the best: {settings} "
                f"({format_duration(quick['seconds'])} of training "
                f"against {format_duration(best['seconds'])})"
            )
    parts = result.objective.split("/")
    key = "/".join((*parts[:-1], "coverage"))
    shares = {job.figures[key] for job in result.finished if key in job.figures}
    counted = all(job.settings.get("evaluate.oov") == "zero" for job in result.finished)
    if len(parts) == 3 and len(shares) > 1 and not counted and result.objective != key:
        lines.append(
            f"not all are asked the same: their words cover {min(shares):.0%} to {max(shares):.0%} "
            f"of {parts[1]}; evaluate.oov=zero counts what has unknown words, too"
        )
    return lines


def by_group(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return rows of ``configurations`` by their group."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    return groups


def failures(jobs: Sequence[Job]) -> dict[str, list[str]]:
    """Return the numbers of the jobs that did not finish, by status and reason."""
    found: dict[str, list[str]] = {}
    for job in jobs:
        if job.status != "finished":
            found.setdefault(f"{job.status}: {job.reason}", []).append(str(job.number))
    return found


def print_study(display: Display, folder: Path) -> None:
    """Print the best trial of the whole study, if the sweep was a search that ended."""
    from omegaconf import OmegaConf

    path = folder / "optimization_results.yaml"
    if path.exists():
        study = OmegaConf.load(path)
        params = " ".join(f"{key}={value}" for key, value in study.best_params.items())
        display.say(f"best      {study.best_value:.4f} of the whole study: {params}")
