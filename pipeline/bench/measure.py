"""What is timed beside the stages: run it, write its tables and pictures, show and record them."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from pipeline.cache.store import Entry
from pipeline.config.schema import BenchmarkConfig, ComplexityConfig, Config
from pipeline.runtime.console import Watch
from pipeline.tracking.tracker import Tracker


def measure(
    config: Config,
    entries: Mapping[str, Entry],
    run_dir: Path,
    watch: Watch,
    tracker: Tracker,
    threads: int,
) -> dict[str, Any]:
    """Measure what the configuration asks for; returns that section of the summary.

    Parameters
    ----------
    entries
        The results of the stages that ran.
    threads
        What ``engine.threads`` stands for.
    """
    if isinstance(config.measure, ComplexityConfig):
        return {"complexity": complexity(config, run_dir, watch, tracker, threads)}
    if isinstance(config.measure, BenchmarkConfig):
        return {"benchmark": benchmark(config, entries, run_dir, watch, tracker, threads)}
    return {}


def complexity(
    config: Config, run_dir: Path, watch: Watch, tracker: Tracker, threads: int
) -> dict[str, Any]:
    """Seconds a pair over the vocabulary and over K; see `pipeline.bench.complexity`."""
    from pipeline.bench.complexity import measure, plot

    settings, engine = config.measure, config.engine.name
    assert isinstance(settings, ComplexityConfig)
    found, fits = measure(config, threads, watch.say)
    title = f"What a pair costs: engine {engine}, {threads} threads, dimension {config.model.dim}"
    picture = run_dir / "complexity.png"
    plot(found, fits, settings, engine, picture, title)
    timings = [m._asdict() for m in found]
    slopes = [asdict(fit) for fit in fits]
    tables = [run_dir / "timings.csv", run_dir / "slopes.csv"]
    write_rows(tables[0], timings)
    write_rows(tables[1], slopes)
    tracker.files([picture], "plots")
    tracker.files(tables, "tables")
    tracker.table(tables[1], "tables/slopes.json")
    names = {f"slope/{f.loss}/{f.way}/{f.axis}": f.slope for f in fits}
    tracker.scores({name.replace(" ", "_"): slope for name, slope in names.items()}, 0)
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("loss", "trained by", "seconds a pair grow with", "fitted over", "slope"):
        shown.add_column(column)
    shown.add_column("95 % interval", justify="right")
    axes = {"vocabulary": "V", "negatives": "K", "scores": "scores computed for it"}
    for f in fits:
        reach = f"{f.first:,.0f} … {f.last:,.0f}"
        interval = f"{f.low:.2f} … {f.high:.2f}"
        shown.add_row(f.loss, f.way, axes[f.axis], reach, f"{f.slope:.2f}", interval)
    watch.wide().print(shown)
    watch.say(f"plot      {picture}")
    return {"engine": engine, "threads": threads, "slopes": slopes, "timings": timings}


def benchmark(
    config: Config,
    entries: Mapping[str, Entry],
    run_dir: Path,
    watch: Watch,
    tracker: Tracker,
    threads: int,
) -> dict[str, Any]:
    """Engines in turn on the corpus; see `pipeline.bench.benchmark`."""
    from pipeline.bench.benchmark import COLUMNS, ROWS, benchmark, table

    settings = config.measure
    assert isinstance(settings, BenchmarkConfig)
    folders = entries["tokenize"].path, entries["vocab"].path
    counts = sorted(set(settings.threads or [threads]))
    facts = benchmark(config, *folders, counts, watch.say)
    rows = facts["rows"]
    tables = [run_dir / "benchmark.csv", run_dir / "trials.csv"]
    write_rows(tables[0], rows)
    write_rows(tables[1], facts["trials"])
    tracker.files(tables, "tables")
    tracker.table(tables[0], "tables/benchmark.json")
    wanted = ("words_per_second", "times_gensim", "scaling", "gflops", "of_sgemm", "peak_mb")
    scores = {
        f"benchmark/{row['engine']}/{row['threads']}_threads/{key}": row[key]
        for row in rows
        for key in wanted
        if row[key] is not None
    }
    tracker.scores(scores, 0)
    watch.say("")
    watch.wide().print(table(rows, f"{config.run_name} on {config.corpus_name}"))
    rates = ", ".join(
        f"{next(r['sgemm_gflops'] for r in rows if r['threads'] == count):.0f} with {count}"
        for count in counts
    )
    watch.say(
        f"sgemm ({ROWS:,} × {config.model.dim} × {COLUMNS:,}): {rates} threads, GFLOP/s. "
        f"Beside the imports: matrices {facts['matrices_mb']:.0f} MB, "
        f"mapped tokens {facts['tokens_mb']:.0f} MB."
    )
    return facts


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table as CSV, its columns those of the first row."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
