"""Test ``measure=benchmark`` (the speed of engines), and a run with ``measure=complexity``."""

import json
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from tests.commands import SMALL, TEXT, run, runs_in, summary_of
from w2v.bench.benchmark import benchmark, summarize
from w2v.bench.settings import Benchmark
from w2v.bench.timing import sgemm_gflops
from w2v.bench.worker import memory_mb, run_worker
from w2v.errors import InputError
from w2v.losses import NegativeSampling, Softmax
from w2v.objectives import SkipGram
from w2v.training.schedule import Schedule, TrainingSettings


def trial(engine: str, threads: int, speed: float, peak: float | None) -> dict[str, Any]:
    """Return an invented result of one training, as ``measure=benchmark`` records it.

    `speed` is in words/s, and `peak` is the memory in MiB, or None if it is unknown.
    """
    return {
        "engine": engine,
        "threads": threads,
        "seconds": 1000 / speed,
        "words_per_second": speed,
        "compile_seconds": 0.5,
        "heldout_loss": 2.5,
        "imports_mb": None if peak is None else 100.0,
        "peak_mb": peak,
    }


def test_medians_and_ranges() -> None:
    trials = [
        {**trial("numba", 2, speed, 300.0 + speed), "sgemm_gflops": rate}
        for speed, rate in ((10.0, 100.0), (30.0, 400.0), (20.0, 200.0))
    ]
    trials += [{**trial("gensim", 2, 40.0, None), "sgemm_gflops": 1.0}]
    trials += [{**trial("numba", 4, 30.0, 1e6), "sgemm_gflops": 1.0}]
    row, gensim, four = summarize(trials, 4e12)
    assert (row["engine"], row["threads"]) == ("numba", 2)
    assert (row["words_per_second"], row["least"], row["most"]) == (20, 10, 30)
    assert row["gflops"] == pytest.approx(4e12 / 50 / 1e9)
    assert row["of_sgemm"] == pytest.approx(80 / 200)
    assert (row["peak_mb"], row["over_imports_mb"]) == (320, 220)
    assert (row["times_gensim"], row["scaling"]) == (0.5, 1)
    assert (gensim["peak_mb"], gensim["over_imports_mb"]) == (None, None)
    assert (four["times_gensim"], four["scaling"]) == (None, 1.5)
    json.dumps([row, gensim, four], allow_nan=False)


def test_sgemm_is_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROWS", "COLUMNS"):
        monkeypatch.setattr(f"w2v.bench.timing.{name}", 500)
    assert 0.01 < sgemm_gflops(4, 1) < 1e5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports it")
def test_memory_is_in_mebibytes() -> None:
    held, most = memory_mb("VmRSS"), memory_mb("VmHWM")
    assert held is not None
    assert most is not None
    assert 20 < held <= most < 1e5


def test_a_loss_that_no_engine_can_train_is_refused() -> None:
    files, settings = (Path("nowhere"),) * 3, Benchmark(engines=["gensim"])
    softmax = SkipGram(loss=Softmax())
    with pytest.raises(InputError, match="engine=gensim cannot train it"):
        benchmark(files, softmax, TrainingSettings(), settings, seed=0, threads=1)


def train_nothing(**loss: float) -> None:
    """Start a training by gensim in a worker process, which must fail, as there is no corpus.

    `loss` has settings of negative sampling. The error of `run_worker`, the function that starts
    the process, is raised.
    """
    objective = SkipGram(3, loss=NegativeSampling(**cast(Any, loss)))
    nowhere = Path("nowhere")
    run_worker(nowhere, nowhere, nowhere, objective, Schedule(), "gensim", 1)


def test_a_refusal_of_the_worker_is_one_line() -> None:
    with pytest.raises(InputError) as refused:
        train_nothing(exponent=1e6)
    assert "exponent" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_fault_of_the_worker_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("w2v.bench.worker.POOLS", ("PYTHONHASHSEED",))  # 1 is fine, -1 is not
    objective = SkipGram(3)
    nowhere = Path("nowhere")
    with pytest.raises(RuntimeError, match=r"numpy ended with .*PYTHONHASHSEED"):
        run_worker(nowhere, nowhere, nowhere, objective, Schedule(), "numpy", -1)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("\n".join(TEXT * 30) + "\n")
    return tmp_path


MEASURED = ("experiment=benchmark", *SMALL, "measure.repeats=1", "engine.threads=1")


@pytest.mark.long
def test_engines_take_turns_and_are_tracked(here: Path) -> None:
    result = run(*MEASURED, "measure.engines=[numpy,gensim]", cwd=here)
    assert (result.returncode, result.stderr) == (0, "")
    printed = [line.split()[:3] for line in result.stdout.split("\n") if "words/s" in line]
    assert printed[:4] == [
        ["warm-up", "numpy,", "threads:"],
        ["warm-up", "gensim,", "threads:"],
        ["repeat", "1", "numpy,"],
        ["repeat", "1", "gensim,"],
    ]
    assert runs_in(here) == [("benchmark negsample w5 k5 d8 s0", "FINISHED")]
    summary = summary_of(here)
    assert set(summary["stages"]) == {"tokenize", "vocab"}
    assert "train" not in summary
    numpy, gensim = summary["benchmark"]["rows"]
    assert (numpy["engine"], gensim["engine"], gensim["times_gensim"]) == ("numpy", "gensim", 1)
    assert numpy["times_gensim"] == numpy["words_per_second"] / gensim["words_per_second"]
    assert len(summary["benchmark"]["trials"]) == 2
    run_dir = here / summary["run_dir"]
    assert len((run_dir / "benchmark.csv").read_text().splitlines()) == 3
    assert len((run_dir / "trials.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize("measured", ["benchmark", "complexity"])
def test_engine_jax_is_timed_at_its_precision(
    here: Path, monkeypatch: pytest.MonkeyPatch, measured: str
) -> None:
    def train(*_: Any, **settings: Any) -> None:
        raise InputError(f"precision={settings['precision']}")

    monkeypatch.setattr("w2v.bench.benchmark.run_worker", train)
    monkeypatch.setattr(
        "w2v.bench.timing.make_engine", lambda _, task: train(precision=task.precision)
    )
    given = (*SMALL, f"experiment={measured}", "engine=jax", "engine.precision=bfloat16")
    result = run(*given, "tracking=none", cwd=here)
    assert (result.returncode, result.stderr) == (2, "error: precision=bfloat16\n")


@pytest.mark.long
def test_an_engine_that_cannot_train_the_loss_is_left_out(here: Path) -> None:
    softmax = (*MEASURED, "tracking=none", "loss=softmax", "model.dim=2")
    result = run(*softmax, "measure.engines=[gensim,numpy]", cwd=here)
    assert result.returncode == 0, result.stderr
    rows = summary_of(here)["benchmark"]["rows"]
    assert [(row["engine"], row["times_gensim"]) for row in rows] == [("numpy", None)]


@pytest.mark.long
def test_complexity_from_the_command_line(here: Path) -> None:
    sizes = (
        "measure.over_vocabulary=[50,100,200]",
        "measure.over_negatives=[1,2,4]",
        "measure.seconds=0",
    )
    small = (*sizes, "measure.at_vocabulary=50", "measure.at_negatives=2", "measure.repeats=2")
    settings = ("experiment=complexity", "engine=numpy", "engine.threads=1", "model.dim=4")
    result = run(*settings, *small, cwd=here)
    assert (result.returncode, result.stderr) == (0, "")
    assert "scores computed for it    0.2 … 3 " in result.stdout
    assert runs_in(here) == [("complexity numpy d4 s0", "FINISHED")]
    summary = summary_of(here)
    assert summary["stages"] == {}
    slopes = summary["complexity"]["slopes"]
    assert len(slopes) == 7
    assert all(s["low"] <= s["slope"] <= s["high"] for s in slopes)
    run_dir = here / summary["run_dir"]
    assert (run_dir / "complexity.png").is_file()
    assert len((run_dir / "slopes.csv").read_text().splitlines()) == 8
    logged = [path.name for path in (here / "outputs" / "mlartifacts").rglob("*.*")]
    assert {"complexity.png", "slopes.csv", "timings.csv", "slopes.json"} <= set(logged)
