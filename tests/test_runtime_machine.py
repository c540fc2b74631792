"""Test estimates of memory, errors for too little memory or disk space, and threads per job."""

import errno
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.runtime.write_errors import explain_write_errors
from pipeline.sweeps import launchers
from w2v.errors import InputError
from w2v.files import free_disk, require_disk, size_text
from w2v.losses import NegativeSampling, Softmax
from w2v.objectives import SkipGram
from w2v.training.memory import (
    cgroup_free_memory,
    free_memory,
    model_bytes,
    require_memory,
    training_disk,
    training_memory,
)

ROOT = Path(__file__).parents[1]

MEASURE = """
import re, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from w2v.engines import ENGINES
from w2v.losses import NegativeSampling, Softmax
from w2v.objectives import SkipGram
from w2v.text.tokens import Text
from w2v.training.early_stopping import EarlyStopping
from w2v.training.schedule import Schedule
from w2v.training.train import train

def peak():  # getrusage would count the parent process too
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) * 1024

def run(size, dim, documents):
    tokens = np.random.default_rng(0).integers(0, size, 4 * documents).astype(np.int32)
    ends = np.linspace(0, len(tokens), documents + 1).astype(np.int64)
    text = Text(tokens, np.arange(size, dtype=np.int32), np.stack([ends[:-1], ends[1:]], axis=1))
    softmax = Softmax(logits_mb=8, batch_words=500)
    loss = {"negsample": NegativeSampling(), "softmax": softmax}[sys.argv[2]]
    train(
        text,
        np.bincount(tokens, minlength=size) + 1,
        SkipGram(dim, subsample=0.0, loss=loss),
        Schedule(2, decay_epochs=9),
        engine=sys.argv[3],
        early=EarlyStopping(1),
    )

run(10, 8, 100)
before = peak()
run(20_000, 200, 250)
print(peak() - before)
"""


@pytest.mark.parametrize(
    ("loss", "engine"),
    [("negsample", "numpy"), ("negsample", "numba"), ("softmax", "numpy")],
)
def test_training_takes_no_more_memory_than_estimated(loss: str, engine: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, str(ROOT), loss, engine],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    objective = SkipGram(
        200,
        loss=NegativeSampling() if loss == "negsample" else Softmax(logits_mb=8, batch_words=500),
    )
    estimate = training_memory(20_000, 250, objective, keeps_best=True)
    taken = int(result.stdout)
    assert model_bytes(20_000, objective) < taken < estimate < 4 * taken


def test_jobs_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launchers, "available_cores", lambda: 8)
    assert [launchers.threads_per_job(jobs) for jobs in (1, 2, 3, 8, 9)] == [8, 4, 2, 1, 1]


def test_thread_limits_set_by_the_user_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in launchers.THREAD_POOL_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    launchers.limit_threads_of_child_processes(2)
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert os.environ["OPENBLAS_NUM_THREADS"] == os.environ["NUMBA_NUM_THREADS"] == "2"


def test_a_full_disk_is_reported_in_one_line(tmp_path: Path) -> None:
    for error in (OSError(errno.ENOSPC, "no space"), OSError("5 requested and 3 written")):
        with pytest.raises(InputError, match=r"^training: the disk of .* is full, .* free; "):
            fail(error, tmp_path)
    with pytest.raises(PermissionError):
        fail(PermissionError(errno.EACCES, "no"), tmp_path)


def fail(error: OSError, folder: Path) -> None:
    with explain_write_errors(folder, "training"):
        raise error


def test_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    what, advice = "training 1,000,000 words takes", "lower model.dim"
    for free in (3 * 10**9, None):
        monkeypatch.setattr("w2v.training.memory.free_memory", lambda free=free: free)
        require_memory(3 * 10**9, what, advice)
    monkeypatch.setattr("w2v.training.memory.free_memory", lambda: 250 * 10**6)
    with pytest.raises(InputError) as refusal:
        require_memory(4_810_000_000, what, advice)
    assert str(refusal.value) == (
        "training 1,000,000 words takes 4.8 GB of memory and 250.0 MB is free; lower model.dim"
    )


def test_too_much_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need = training_disk(2_400_000_000, False, checkpoints=True, tracked=True)
    assert need == {
        "the vectors": 2_400_000_000,
        "checkpoints": 7_200_000_000,
        "the tracked copy": 2_400_000_000,
    }
    monkeypatch.setattr("w2v.files.free_disk", lambda _: 12_000_000_000)
    require_disk(need, tmp_path, "training")
    monkeypatch.setattr("w2v.files.free_disk", lambda _: 9_500_000_000)
    with pytest.raises(InputError) as refusal:
        require_disk(need, Path("outputs"), "training")
    assert str(refusal.value) == (
        "training writes 12.0 GB (the vectors 2.4 GB, checkpoints 7.2 GB, the tracked copy "
        "2.4 GB) and the disk of outputs has 9.5 GB free; free some, or set outputs to a folder "
        "elsewhere"
    )


def test_sizes_are_told_in_words() -> None:
    sizes = (0, 999, 1000, 999_949, 999_950, 250 * 10**6, 4_810_000_000, 12 * 10**12, 5 * 10**19)
    wanted = "0 bytes, 999 bytes, 1.0 kB, 999.9 kB, 1.0 MB, 250.0 MB, 4.8 GB, 12.0 TB, 50,000.0 PB"
    assert ", ".join(map(size_text, sizes)) == wanted


def test_free_memory_and_disk_are_plausible(tmp_path: Path) -> None:
    free = free_memory()
    assert free is not None
    total = int(re.findall(r"MemTotal: +(\d+)", Path("/proc/meminfo").read_text())[0]) * 1024
    assert resource.getpagesize() < free <= total
    assert 0 < free_disk(tmp_path / "not" / "yet" / "there") <= 10**18


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        ("", ("memory.max", "memory.current", "inactive_file")),
        (
            "cpu,memory",
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ),
    ],
)
def test_control_groups_limit_the_free_memory(
    kinds: str, names: tuple[str, str, str], tmp_path: Path
) -> None:
    base = tmp_path if kinds == "" else tmp_path / "memory"
    job = base / "user" / "job"
    job.mkdir(parents=True)
    limit, used, reclaimable = names
    for folder, most, now, cached in ((job, "1000", 900, 50), (job.parent, "5000", 4990, 0)):
        (folder / limit).write_text(f"{most}\n")
        (folder / used).write_text(f"{now}\n")
        (folder / "memory.stat").write_text(f"anon 3\n{reclaimable} {cached}\n")
    (base / limit).write_text("max\n")
    (base / used).write_text("7\n")
    assert list(cgroup_free_memory(kinds, "/user/job", tmp_path)) == [150, 10]
    assert list(cgroup_free_memory("cpu", "/user/job", tmp_path)) == []
    assert list(cgroup_free_memory(kinds, "/elsewhere", tmp_path)) == []
