"""Run the speed test that ``config.measure`` selects; print, save and record its results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from threadpoolctl import threadpool_limits

from pipeline.runtime.console import make_table
from pipeline.stages.base import Context
from pipeline.stages.vocab import IDS
from w2v.bench import benchmark, complexity, timing
from w2v.bench.settings import Benchmark, Complexity
from w2v.plots.style import save
from w2v.tables import write_csv
from w2v.vectors import VOCABULARY


def measure(context: Context, run_dir: Path) -> dict[str, Any]:
    """Run the speed test that ``config.measure`` selects; return its results, or {} if none is set.

    Its tables and, for ``measure=complexity``, a plot are saved in `run_dir` and in MLflow.
    """
    match context.config.measure:
        case Complexity() as settings:
            return {"complexity": run_complexity(context, settings, run_dir)}
        case Benchmark() as settings:
            return {"benchmark": run_benchmark(context, settings, run_dir)}
    return {}


def run_complexity(context: Context, settings: Complexity, run_dir: Path) -> dict[str, Any]:
    config, threads, say = context.config, context.threads, context.display.say
    engine = config.engine.name
    with threadpool_limits(threads):
        timings = complexity.measure(
            *(config.objective, settings, engine),
            seed=config.seed,
            threads=threads,
            precision=config.engine.precision,
            on_round=lambda repeat: say(f"  round {repeat} of {settings.repeats}"),
        )
    slopes = complexity.fit_slopes(timings, settings)
    title = f"What a pair costs: engine {engine}, {threads} threads, dimension {config.model.dim}"
    picture = run_dir / "complexity.png"
    save(complexity.plot(timings, slopes, settings, engine, title), picture)
    context.tracker.files([picture], "plots")
    tables = {"slopes": [slope._asdict() for slope in slopes], "timings": timings}
    record_tables(context, run_dir, tables)
    scores = {f"slope/{s.loss}/{s.way}/{s.axis}".replace(" ", "_"): s.slope for s in slopes}
    context.tracker.scores(scores, 0)
    columns = ("loss", "trained by", "seconds a pair grow with", "fitted over", "slope")
    table = make_table(title, columns, ["95 % interval"])
    axes = {"vocabulary": "V", "negatives": "K", "scores": "scores computed for it"}
    for s in slopes:
        ends = " … ".join(f"{x:,.2g}" if x < 10 else f"{x:,.0f}" for x in (s.first, s.last))
        interval = f"{s.low:.2f} … {s.high:.2f}"
        table.add_row(s.loss, s.way, axes[s.axis], ends, f"{s.slope:.2f}", interval)
    context.display.console.print(table)
    say(f"plot      {picture}")
    return {"engine": engine, "threads": threads, **tables}


def run_benchmark(context: Context, settings: Benchmark, run_dir: Path) -> dict[str, Any]:
    config, say = context.config, context.display.say
    vocab = context.entries["vocab"].path
    facts = benchmark.benchmark(
        (context.entries["tokenize"].path, vocab / VOCABULARY, vocab / IDS),
        *(config.objective, config.train, settings),
        seed=config.seed,
        threads=context.threads,
        precision=config.engine.precision,
        on_trial=lambda line: say(f"  {line}"),
    )
    rows = facts["rows"]
    record_tables(context, run_dir, {"benchmark": rows, "trials": facts["trials"]})
    recorded = ("words_per_second", "times_gensim", "scaling", "gflops", "of_sgemm", "peak_mb")
    scores = {
        f"benchmark/{row['engine']}/{row['threads']}_threads/{key}": row[key]
        for row in rows
        for key in recorded
        if row[key] is not None
    }
    context.tracker.scores(scores, 0)
    say("")
    context.display.console.print(format_table(rows, config.title))
    speeds = {row["threads"]: row["sgemm_gflops"] for row in rows}
    rates = ", ".join(f"{speed:.0f} with {threads}" for threads, speed in speeds.items())
    shape = f"{timing.ROWS:,} × {config.model.dim} × {timing.COLUMNS:,}"
    say(
        f"sgemm ({shape}): {rates} threads, GFLOP/s. Beside the imports: matrices "
        f"{facts['matrices_mb']:.0f} MB, mapped tokens {facts['tokens_mb']:.0f} MB."
    )
    return facts


def format_table(rows: Sequence[dict[str, Any]], title: str) -> Table:
    """Format the rows of a benchmark as a table for the terminal."""
    columns = {
        "threads": "{threads}",
        "words/s": "{words_per_second:,.0f}",
        "range": "{least:,.0f} … {most:,.0f}",
        "× gensim": "{times_gensim:.2f}",
        "× threads": "{scaling:.2f}",
        "GFLOP/s": "{gflops:.1f}",
        "of sgemm": "{of_sgemm:.0%}",
        "peak MB": "{peak_mb:,.0f}",
        "over imports": "{over_imports_mb:,.0f}",
        "held-out loss": "{heldout_loss:.3f}",
    }
    table = make_table(title, ["engine"], columns)
    for row in rows:
        known = {key: float("nan") if value is None else value for key, value in row.items()}
        cells = [form.format(**known).replace("nan", "–") for form in columns.values()]
        table.add_row(row["engine"], *cells)
    return table


def record_tables(
    context: Context, run_dir: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Save each table as ``<key>.csv`` in `run_dir` and MLflow, whose UI shows the first table."""
    paths = [run_dir / f"{name}.csv" for name in tables]
    for path, rows in zip(paths, tables.values(), strict=True):
        write_csv(path, rows[0], (row.values() for row in rows))
    context.tracker.files(paths, "tables")
    context.tracker.table(paths[0], f"tables/{paths[0].stem}.json")
