"""Test how the jobs of a sweep run, and stop, in processes of joblib and other launchers."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.types import HydraContext
from joblib.externals import loky
from omegaconf import DictConfig

from pipeline.config import schema
from pipeline.runtime.signals import StopRequest
from pipeline.sweeps.compose import SharedComposition
from pipeline.sweeps.hydra_plugins.w2v_launchers import JoblibLauncher
from pipeline.sweeps.launchers import launch_in_thread
from pipeline.sweeps.results import STOP
from tests.commands import ROOT
from tests.test_config import BASE


class CountedTask:
    """A task for the jobs of a sweep, which records in which process, and how often, it is called.

    It returns the id of the process, the number of calls in this process, and the job's seed.
    """

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, config: DictConfig) -> tuple[int, int, int]:
        self.calls += 1
        return os.getpid(), self.calls, config.seed


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    schema.register()
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)  # undone at the end
    folder = f"hydra.sweep.dir={tmp_path}"
    with initialize_config_dir(str(ROOT / "conf"), **BASE):
        config = compose("config", [folder], return_hydra_config=True)
        loader: Any = SharedComposition(GlobalHydra.instance().config_loader())
        context = HydraContext(loader, Callbacks())
        yield {"hydra_context": context, "task_function": CountedTask(), "config": config}


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.long)])
def test_a_process_is_prepared_once_for_all_jobs(
    arguments: dict[str, Any], processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    options = {"batch_size": "1", "pre_dispatch": "2*n_jobs", "backend": "loky", "timeout": None}
    launcher = JoblibLauncher(n_jobs=processes, inner_max_num_threads=1, **options)
    launcher.setup(**arguments)
    done: list[JobReturn] = []
    for first in (0, 3):  # a search and successive halving launch several times
        jobs = [[f"seed={seed}", "loss=softmax"] for seed in range(first, first + 3)]
        done += launcher.launch(jobs, first)
    loky.get_reusable_executor(reuse=True).shutdown()
    assert [one.return_value[2] for one in done] == list(range(6)), "in the order of the jobs"
    calls: dict[int, list[int]] = {}
    for one in done:
        process, call, _ = one.return_value
        calls.setdefault(process, []).append(call)
    for own in calls.values():
        assert sorted(own) == [*range(1, len(own) + 1)]
    assert len(calls) <= processes
    assert (os.getpid() in calls) == (processes == 1)


@pytest.mark.parametrize(
    ("signum", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_signal_stops_the_jobs_and_waits_for_them(
    tmp_path: Path, signum: int, raised: type[BaseException]
) -> None:
    ended: list[set[signal.Signals | int]] = []

    def launch(seconds: float) -> list[JobReturn]:
        time.sleep(0.2)  # the main thread waits now
        os.kill(os.getpid(), signum)
        deadline = time.monotonic() + seconds
        while not (tmp_path / STOP).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (tmp_path / STOP).exists()
        ended.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        return []

    with pytest.raises(raised), StopRequest().handling_signals():
        launch_in_thread(tmp_path, launch, 60)
    assert ended, "it did not wait"
    assert signal.SIGINT in ended[0], "processes that it starts would get Ctrl-C of the terminal"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
