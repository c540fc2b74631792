"""The benchmark: trainings in processes of their own, their medians, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.bench.benchmark import sgemm_gflops, summed
from pipeline.bench.worker import memory_mb, objective_of
from tests.test_run import ROOT, SMALL, TEXT, run, runs_in, summary_of
from w2v.objectives import NegativeSampling, Softmax


def trial_of(engine: str, threads: int, speed: float, peak: float | None) -> dict[str, Any]:
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
    trials = [trial_of("numba", 2, speed, 300.0 + speed) for speed in (10.0, 30.0, 20.0)]
    trials += [trial_of("numba", 1, 1e6, 1e6), trial_of("gensim", 2, 1e6, 1e6)]
    row = summed("numba", 2, trials, 4e12, [100.0, 400.0, 200.0])
    assert (row["words_per_second"], row["least"], row["most"]) == (20, 10, 30)
    assert row["gflops"] == pytest.approx(4e12 / 50 / 1e9)
    assert row["of_sgemm"] == pytest.approx(80 / 200)
    assert (row["peak_mb"], row["over_imports_mb"]) == (320, 220)


def test_where_memory_is_not_told() -> None:
    row = summed("numba", 2, [trial_of("numba", 2, 10.0, None)], 1.0, [1.0])
    assert (row["peak_mb"], row["over_imports_mb"]) == (None, None)


def test_sgemm_is_a_rate() -> None:
    assert 0.01 < sgemm_gflops(4, 1) < 1e5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_memory_is_in_megabytes() -> None:
    held, most = memory_mb("VmRSS"), memory_mb("VmHWM")
    assert held is not None
    assert most is not None
    assert 20 < held <= most < 1e5


def test_objectives() -> None:
    model = {"dim": 3, "window": 2, "dynamic_window": False, "subsample": 0.1}
    negsample = objective_of(model, {"name": "negsample", "negatives": 4, "exponent": 0.5})
    assert (negsample.dim, negsample.loss) == (3, NegativeSampling(4, 0.5))
    assert isinstance(objective_of(model, {"name": "softmax"}).loss, Softmax)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("\n".join(TEXT * 30) + "\n")
    return tmp_path


MEASURED = ("experiment=benchmark", *SMALL, "measure.repeats=1", "engine.threads=1")


def test_engines_in_turn_tracked(here: Path) -> None:
    result = run(*MEASURED, "measure.engines=[numpy,gensim]", cwd=here)
    assert (result.returncode, result.stderr) == (0, "")
    told = [line.split()[:3] for line in result.stdout.split("\n") if "words/s" in line]
    assert told[:4] == [
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


def test_the_peer_sits_out_what_it_lacks(here: Path) -> None:
    softmax = (*MEASURED, "tracking=none", "loss=softmax")
    alone = run(*softmax, "measure.engines=[gensim]", cwd=here)
    assert (alone.returncode, alone.stderr) == (
        2,
        "error: loss=softmax: engine=gensim has negative sampling only\n",
    )
    beside = run(*softmax, "measure.engines=[gensim,numpy]", "model.dim=2", cwd=here)
    assert beside.returncode == 0, beside.stderr
    rows = summary_of(here)["benchmark"]["rows"]
    assert [(row["engine"], row["times_gensim"]) for row in rows] == [("numpy", None)]


def test_a_refusal_of_a_training_is_one_line(here: Path) -> None:
    engines = "measure.engines=[gensim]"
    result = run(*MEASURED, "tracking=none", engines, "loss.exponent=1000", cwd=here)
    assert result.returncode == 2
    assert result.stderr == (
        "error: loss.exponent=1000.0: engine=gensim cannot add up count ** exponent; "
        "choose one nearer to 0\n"
    )


def test_a_trial_that_fails_shows_why() -> None:
    job = json.dumps({"corpus": "nowhere"})
    command = [sys.executable, "-m", "pipeline.bench.worker"]
    done = subprocess.run(command, cwd=ROOT, input=job, capture_output=True, text=True)
    assert done.returncode == 1
    assert "missing" in done.stderr


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
