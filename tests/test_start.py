"""Streams that break cost nothing, and Ctrl-C before anything is imported leaves no traceback."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL = (
    *("corpus=files", "corpus.path=text.txt", "vocab.min_count=1", "model.dim=4"),
    *("engine=numpy", "train.heldout=0.1", "tracking=none", "stages=[tokenize,vocab,train]"),
)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("the cat sat on the mat and the dog on the rug\n" * 400)
    return tmp_path


def shell(line: str, here: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = " ".join([sys.executable, str(ROOT / "pipeline" / "run.py"), *SMALL, *arguments])
    line = line.replace("RUN", command)
    return subprocess.run(
        ["bash", "-c", line], cwd=here, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    "line",
    [
        "RUN | head -1; exit ${PIPESTATUS[0]}",
        "RUN > /dev/full",
        "RUN >&-",
        "RUN 2>&-",
        "RUN <&- >&- 2>&-",
    ],
)
def test_a_run_ends_whatever_becomes_of_what_it_prints(line: str, here: Path) -> None:
    done = shell(line, here)
    assert (done.returncode, done.stderr) == (0, "")
    (summary,) = here.glob("outputs/runs/*/*/summary.json")
    assert summary.stat().st_size > 0
    for path in here.rglob("*"):  # what was printed is in no file
        assert path.is_dir() or b"tokens in 400 documents" not in path.read_bytes()


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_with_nobody_to_tell_ends_with_a_checkpoint(
    signum: int, status: int, here: Path
) -> None:
    command = [sys.executable, str(ROOT / "pipeline" / "run.py"), *SMALL]
    command += ["train.epochs=1000000", "train.decay_epochs=9"]
    with subprocess.Popen(
        command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.stderr.close()
        while not list(here.glob("outputs/cache/train/.*.part")):
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(signum)
        assert process.wait(60) == status
    assert list(here.glob("outputs/checkpoints/*/0*/state.json"))


@pytest.mark.parametrize("seconds", [0.3, 0.6])
def test_ctrl_c_while_all_is_imported_leaves_no_traceback(seconds: float, here: Path) -> None:
    command = [sys.executable, str(ROOT / "pipeline" / "run.py"), *SMALL, "train.epochs=100000"]
    with subprocess.Popen(
        command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode in (
        130,
        -signal.SIGINT,
    )  # before the first line of ours, Python's own
    assert process.returncode == -signal.SIGINT or "Traceback" not in said


def test_names_that_are_not_utf_8_are_refused(here: Path) -> None:
    name = os.fsdecode(b"b\xff.txt")
    command = [sys.executable, str(ROOT / "pipeline" / "run.py"), f"corpus.path='{name}'"]
    done = subprocess.run(command, cwd=here, capture_output=True, timeout=60)
    assert done.returncode == 2
    said = done.stderr.decode()
    assert re.fullmatch(
        r"error: corpus\.path='b\\udcff\.txt': a name that is not UTF-8; .*\n", said
    )


def test_without_buffers_lines_come_as_they_are_printed(here: Path) -> None:
    program = (
        f"import sys, time; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pipeline.runtime.startup import steady\nsteady()\nprint('now')\ntime.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        begun = time.monotonic()
        assert process.stdout.readline() == "now\n"
        assert time.monotonic() - begun < 30
        process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the children of a process")
def test_a_second_ctrl_c_ends_what_was_started_too(tmp_path: Path) -> None:
    program = (
        f"import subprocess, sys, time; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pipeline.runtime.signals import Stopping\n"
        "stopping = Stopping()\n"
        "stopping.postpone()\n"
        "with stopping.listening():\n"
        "    child = subprocess.Popen(['sleep', '600'])\n"
        "    print(child.pid, flush=True)\n"
        "    while True:\n"
        "        time.sleep(0.01)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        child = Path(f"/proc/{int(process.stdout.readline())}/stat")
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    until = time.monotonic() + 30
    while child.exists() and ") Z " not in child.read_text():
        assert time.monotonic() < until
        time.sleep(0.05)
