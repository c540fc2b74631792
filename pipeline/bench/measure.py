"""Run the measurement that ``measure=benchmark`` or ``measure=complexity`` asks for.

Its tables and plots are written to the folder of the run, shown in the terminal and recorded.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.cache.store import Entry
from pipeline.config.settings import Benchmark, Complexity, Config
from pipeline.runtime.console import Display, make_table
from pipeline.tracking.tracker import Tracker


def measure(
    config: Config,
    entries: Mapping[str, Entry],
    run_dir: Path,
    display: Display,
    tracker: Tracker,
    threads: int,
) -> dict[str, Any]:
    """Measure, and return the section of the summary, which is empty if there is nothing to do.

    Parameters
    ----------
    entries
        The results of the stages that ran, by name.
    threads
        The number of threads that ``engine.threads`` stands for.
    """
    match config.measure:
        case Complexity():
            return {"complexity": run_complexity(config, run_dir, display, tracker, threads)}
        case Benchmark():
            folders = entries["tokenize"].path, entries["vocab"].path
            return {
                "benchmark": run_benchmark(config, *folders, run_dir, display, tracker, threads)
            }
        case _:
            return {}


def run_complexity(
    config: Config, run_dir: Path, display: Display, tracker: Tracker, threads: int
) -> dict[str, Any]:
    """Measure how the time per pair grows, and return the section of the summary."""
    from pipeline.bench.complexity import measure_complexity, plot

    settings, engine = config.measure, config.engine.name
    assert isinstance(settings, Complexity)
    found, slopes = measure_complexity(config, threads, display.say)
    title = f"What a pair costs: engine {engine}, {threads} threads, dimension {config.model.dim}"
    picture = run_dir / "complexity.png"
    plot(found, slopes, settings, engine, picture, title)
    timing_rows = [timing._asdict() for timing in found]
    slope_rows = [asdict(slope) for slope in slopes]
    tables = [run_dir / "timings.csv", run_dir / "slopes.csv"]
    write_rows(tables[0], timing_rows)
    write_rows(tables[1], slope_rows)
    tracker.files([picture], "plots")
    tracker.files(tables, "tables")
    tracker.table(tables[1], "tables/slopes.json")
    scores = {f"slope/{s.loss}/{s.way}/{s.axis}".replace(" ", "_"): s.slope for s in slopes}
    tracker.scores(scores, 0)
    columns = ("loss", "trained by", "seconds a pair grow with", "fitted over", "slope")
    table = make_table(title, columns, ["95 % interval"])
    axes = {"vocabulary": "V", "negatives": "K", "scores": "scores computed for it"}
    for s in slopes:
        fitted = f"{s.first:,.0f} … {s.last:,.0f}"
        interval = f"{s.low:.2f} … {s.high:.2f}"
        table.add_row(s.loss, s.way, axes[s.axis], fitted, f"{s.slope:.2f}", interval)
    display.table_console().print(table)
    display.say(f"plot      {picture}")
    return {"engine": engine, "threads": threads, "slopes": slope_rows, "timings": timing_rows}


def run_benchmark(
    config: Config,
    corpus: Path,
    vocab: Path,
    run_dir: Path,
    display: Display,
    tracker: Tracker,
    threads: int,
) -> dict[str, Any]:
    """Compare engines on the corpus, and return the section of the summary."""
    from pipeline.bench.benchmark import COLUMNS, ROWS, benchmark, format_table

    settings = config.measure
    assert isinstance(settings, Benchmark)
    counts = sorted(set(settings.threads or [threads]))
    facts = benchmark(config, corpus, vocab, counts, display.say)
    rows = facts["rows"]
    tables = [run_dir / "benchmark.csv", run_dir / "trials.csv"]
    write_rows(tables[0], rows)
    write_rows(tables[1], facts["trials"])
    tracker.files(tables, "tables")
    tracker.table(tables[0], "tables/benchmark.json")
    recorded = ("words_per_second", "times_gensim", "scaling", "gflops", "of_sgemm", "peak_mb")
    scores = {
        f"benchmark/{row['engine']}/{row['threads']}_threads/{key}": row[key]
        for row in rows
        for key in recorded
        if row[key] is not None
    }
    tracker.scores(scores, 0)
    display.say("")
    display.table_console().print(format_table(rows, config.title))
    rates = ", ".join(
        f"{next(row['sgemm_gflops'] for row in rows if row['threads'] == count):.0f} with {count}"
        for count in counts
    )
    display.say(
        f"sgemm ({ROWS:,} × {config.model.dim} × {COLUMNS:,}): {rates} threads, GFLOP/s. "
        f"Beside the imports: matrices {facts['matrices_mb']:.0f} MB, "
        f"mapped tokens {facts['tokens_mb']:.0f} MB."
    )
    return facts


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table as CSV, with the keys of the first row as its columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
