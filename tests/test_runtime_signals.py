"""Test signals: the first Ctrl-C or SIGTERM stops a run cleanly, a second one at once."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.runtime.signals import StopRequest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("signum", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_signal_raises_an_exception(signum: int, raised: type[BaseException]) -> None:
    stop, before = StopRequest(), signal.getsignal(signum)
    with pytest.raises(raised) as caught, stop.handling_signals():
        signal.raise_signal(signum)
    assert stop.requested()
    if raised is SystemExit:
        assert caught.value.args == (128 + signum,)
    assert signal.getsignal(signum) is before


def work(stop: StopRequest, signum: int | None = None, error: Exception | None = None) -> None:
    """Send the signal `signum`, then raise `error`, in a ``with`` block that defers signals.

    `stop` handles the signals: a deferred one takes effect at the end of the block. `signum` and
    `error` may be None: then nothing is sent or raised.
    """
    with stop.handling_signals(), stop.deferrable():
        stop.defer()
        if signum is not None:
            signal.raise_signal(signum)
        if error is not None:
            raise error


def test_a_deferred_signal_raises_at_the_end_of_the_block(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(KeyboardInterrupt):
        work(StopRequest(), signal.SIGINT)
    assert "again to stop at once" in capfd.readouterr().err


def test_a_deferred_signal_replaces_the_error_of_the_block() -> None:
    with pytest.raises(SystemExit):
        work(StopRequest(), signal.SIGTERM, ValueError("training was told to stop"))


def test_an_error_passes_through_the_block_and_ends_the_deferring() -> None:
    stop = StopRequest()
    with pytest.raises(ValueError, match="of the work"):
        work(stop, error=ValueError("of the work"))
    with pytest.raises(KeyboardInterrupt), stop.handling_signals():
        signal.raise_signal(signal.SIGINT)


def test_a_file_stops_a_process_as_a_deferred_signal_does(tmp_path: Path) -> None:
    stop = StopRequest()
    stop.file = tmp_path / "stop"
    work(stop)
    assert not stop.requested()
    stop.file.touch()
    assert stop.requested()
    with pytest.raises(KeyboardInterrupt):
        work(stop, error=ValueError("training was told to stop"))


def test_other_threads_leave_the_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    inside: list[object] = []

    def work() -> None:
        with StopRequest().handling_signals():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists the children of a process")
def test_a_second_ctrl_c_ends_the_child_processes_too() -> None:
    program = (
        f"import subprocess, sys, time; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pipeline.runtime.signals import StopRequest\n"
        "stop = StopRequest()\n"
        "stop.defer()\n"
        "with stop.handling_signals():\n"
        "    child = subprocess.Popen(['sleep', '600'], stderr=subprocess.DEVNULL)\n"
        "    print(child.pid, flush=True)\n"
        "    while True:\n"
        "        time.sleep(0.01)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        child = int(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == "\n"
        assert "again to stop at once" in process.stderr.readline()
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    descriptor = os.pidfd_open(child) if Path(f"/proc/{child}").exists() else None
    if descriptor is not None:  # readable once the child has ended
        import select

        assert select.select([descriptor], [], [], 30)[0]


def test_ctrl_c_during_the_imports_shows_no_traceback(tmp_path: Path) -> None:
    # -X importtime prints a line for each import.
    command = [sys.executable, "-X", "importtime", str(ROOT / "pipeline" / "run.py")]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        said = iter(process.stderr.readline, "")
        assert next(line for line in said if "omegaconf" in line)
        process.send_signal(signal.SIGINT)
        assert "Traceback" not in process.stderr.read()
        assert process.wait(60) == 130
