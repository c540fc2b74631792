"""Test training and sweeps on a Ray cluster.

A training must give the vectors of ``cluster=local``, bit for bit, even if processes are killed. A
sweep must go on if a node of the cluster is lost.
"""

import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from pipeline.sweeps.results import SWEEP
from tests.commands import Done, query, run_process, start, write_text
from tests.test_cluster import learn, sha
from tests.test_sweeps_commands import SMALL, statuses, summary_of, train_entries, wait_for
from w2v.cluster.local import LocalPool
from w2v.cluster.ray import (
    TOKENS,
    RayPool,
    TokenFile,
    call_on_every_node,
    connected,
    enter_shared_folder,
    environment,
    require_listener,
    threads_that_fit,
    to_send,
)
from w2v.cluster.settings import ClusterSettings, require_ray
from w2v.cluster.workers import open_cluster
from w2v.errors import InputError
from w2v.text.tokens import Text
from w2v.training.train import Trained

pytestmark = pytest.mark.xdist_group("ray")
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install ray")


# Without a cluster


def test_threads_fit_on_the_nodes() -> None:
    assert threads_that_fit([16], 4) == 4
    assert threads_that_fit([16, 16], 4) == 8
    assert threads_that_fit([5, 3], 2) == 3
    assert threads_that_fit([5, 3], 3) == 2
    assert threads_that_fit([2], 3) == 0
    assert threads_that_fit([], 1) == 0


def test_a_text_travels_as_the_path_of_its_tokens_or_as_these(tmp_path: Path) -> None:
    tokens = np.arange(50, dtype=np.int32)
    np.save(tmp_path / "tokens.npy", tokens)
    mapped = np.load(tmp_path / "tokens.npy", mmap_mode="r")
    text = Text(mapped, np.arange(50, dtype=np.int32), np.array([[0, 50]]))
    sent = to_send(text, "path")
    assert isinstance(sent, TokenFile)
    np.testing.assert_array_equal(sent.open().tokens, tokens)
    stored = to_send(text, "store")
    assert isinstance(stored, Text)
    assert type(stored.tokens) is np.ndarray
    (tmp_path / "tokens.npy").unlink()
    with pytest.raises(InputError, match=r"does not find the text in .*tokens.npy; give a folder"):
        sent.open()


def test_ray_is_named_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("w2v.cluster.settings.find_spec", lambda _: None)
    with pytest.raises(
        InputError, match=r'cluster=ray: the package ray .* "w2v-experiments\[ray\]"'
    ):
        ClusterSettings("ray", 2)
    with pytest.raises(InputError, match="hydra/launcher=ray: the package ray is not installed"):
        require_ray("hydra/launcher=ray")


def test_the_password_of_a_cluster_is_used_if_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_AUTH_MODE", *TOKENS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "RAY_AUTH_MODE" not in environment("10.0.0.1:6379")
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").touch()
    assert environment("10.0.0.1:6379")["RAY_AUTH_MODE"] == "token"
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert "RAY_AUTH_MODE" not in environment("10.0.0.1:6379")


def test_a_cluster_that_is_started_here_has_a_password_of_its_own(tmp_path: Path) -> None:
    passwords: list[str] = []
    ray = mock.MagicMock()
    ray.is_initialized.return_value = False
    ray.init.side_effect = lambda **_: passwords.append(os.environ["RAY_AUTH_TOKEN"])
    with mock.patch.dict(os.environ, HOME=str(tmp_path)), mock.patch.dict(sys.modules, ray=ray):
        for name in TOKENS:
            os.environ.pop(name, None)
        for _ in range(2):
            with connected(None, 1):
                assert "RAY_AUTH_TOKEN" not in os.environ
        os.environ["RAY_AUTH_TOKEN"] = "mine"
        with connected(None, 1):
            assert os.environ["RAY_AUTH_TOKEN"] == "mine"
    assert len(set(passwords)) == 3
    assert passwords[2] == "mine"
    assert ray._raylet.AuthenticationTokenLoader.instance().reset_cache.call_count == 3


def test_an_address_at_which_nothing_listens_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        require_listener(f"127.0.0.1:{port}")
    for wrong in (port, 99999):
        message = rf"ray\.address=127\.0\.0\.1:{wrong}: no Ray cluster answers"
        with pytest.raises(InputError, match=message):
            require_listener(f"127.0.0.1:{wrong}")


# On a cluster of this machine


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> int:
    """Return the number in the option ``--worker-kills``, or skip the test if it is 0.

    It says how many processes a test kills.
    """
    number: int = request.config.getoption("--worker-kills")
    if number == 0:
        pytest.skip("takes minutes: pytest -m long tests/test_cluster_ray.py --worker-kills 10")
    return number


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    handler = signal.getsignal(signal.SIGTERM)
    with connected(None, 4) as module:
        assert signal.getsignal(signal.SIGTERM) is handler
        yield module
    assert not module.is_initialized()


def pool_of(ray: Any, processes: int, lines: list[str] | None = None) -> RayPool:
    return RayPool(ray, processes, 1, "store", (lines if lines is not None else []).append)


@needs_ray
@pytest.mark.long
def test_ray_has_the_bits_of_workers_in_this_process(ray: Any) -> None:
    wanted = sha(learn(LocalPool()))
    for processes in (1, 2):
        pool = pool_of(ray, processes)
        trained = learn(pool)
        pool.close()
        assert sha(trained) == wanted
        assert trained.cluster is not None
        assert trained.cluster.processes == processes


def replicas_of(pid: int | None = None) -> list[int]:
    """Return the ids of Ray's training processes among the descendants of the process `pid`.

    None: the descendants of this process.
    """
    import psutil

    found = []
    for child in psutil.Process(pid).children(recursive=True):
        try:
            if "ray::RayReplica" in " ".join(child.cmdline()):
                found.append(child.pid)
        except psutil.Error:  # it has just ended
            pass
    return found


@needs_ray
@pytest.mark.long
def test_kills_change_no_bit(ray: Any, faults: int) -> None:
    wanted = sha(learn(LocalPool(), epochs=60))
    lines: list[str] = []
    killed: list[int] = []
    trained: list[Trained] = []
    moments = random.Random(0)
    while len(killed) < faults:
        pool = pool_of(ray, 2, lines)
        thread = threading.Thread(
            target=lambda one: trained.append(learn(one, epochs=60)), args=[pool]
        )
        thread.start()
        while thread.is_alive() and len(killed) < faults:
            living = [pid for pid in replicas_of() if pid not in killed]
            time.sleep(moments.uniform(0, 0.5))  # at a random moment
            if len(living) == 2:
                killed.append(moments.choice(living))
                os.kill(killed[-1], signal.SIGKILL)
        thread.join()
        pool.close()
    assert {sha(one) for one in trained} == {wanted}
    assert all(line.endswith("its round is done again") for line in lines)
    assert faults / 2 <= len(lines) <= 2 * faults


@needs_ray
@pytest.mark.long
def test_errors_in_a_process_are_raised_as_they_are(ray: Any, tmp_path: Path) -> None:
    pool = RayPool(ray, 1, 1, "path", lambda _: None)
    path = tmp_path / "tokens.npy"
    np.save(path, np.zeros(1, np.int32))
    short = TokenFile(str(path), 2, np.zeros(1, np.int32))
    pool.arguments = "numba", None, short
    with pytest.raises(InputError, match="does not find the text"):
        pool._until_done(lambda: pool._join(1))
    pool.close()


@needs_ray
@pytest.mark.long
def test_more_processes_than_cores_are_refused(ray: Any) -> None:
    settings = ClusterSettings("ray", 8, processes=5)
    message = r"5 processes .* more cores than the nodes have \(4\)"
    with pytest.raises(InputError, match=message), open_cluster(settings):
        pass


def refuse(line: str) -> None:
    raise InputError(line)


@needs_ray
@pytest.mark.long
def test_what_a_machine_refuses_is_raised(ray: Any) -> None:
    with pytest.raises(InputError, match=r"^no such folder$"):
        call_on_every_node(ray, refuse, "no such folder")


def test_outputs_that_a_machine_does_not_see_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep").mkdir()
    message = r"outputs=o: the machine .* does not see this folder from .*; give one that all"
    with pytest.raises(InputError, match=message):
        enter_shared_folder(tmp_path, Path("sweep", SWEEP), "outputs=o")
    (tmp_path / "sweep" / SWEEP).touch()
    enter_shared_folder(tmp_path, Path("sweep", SWEEP), "outputs=o")


# Commands

TRAIN = (*SMALL[1:], "cluster.workers=3", "tracking=none")


@pytest.fixture
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After the test, check that the commands that it ran left no process and no temporary file."""
    import psutil

    with tempfile.TemporaryDirectory(prefix="w2v-", dir="/tmp") as folder:  # a short name
        monkeypatch.setenv("TMPDIR", folder)
        yield

        def left() -> list[int]:
            found = []
            for one in psutil.process_iter():
                with suppress(psutil.Error):
                    found += [one.pid] * (one.environ().get("TMPDIR") == folder)
            return found

        deadline = time.monotonic() + 60
        while left() and time.monotonic() < deadline:  # Ray's agents end by themselves
            time.sleep(0.2)
        assert not left()
        assert list(Path(folder).iterdir()) == []


@needs_ray
@pytest.mark.long
@pytest.mark.usefixtures("nothing_left")
def test_the_pipeline_trains_on_ray(tmp_path: Path) -> None:
    write_text(tmp_path)
    found = []
    for cluster in ("local", "ray"):
        done = run_process(*TRAIN, f"cluster={cluster}", f"outputs={cluster}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        (path,) = tmp_path.glob(f"{cluster}/cache/train/[0-9a-f]*/vectors.npy")
        found.append(path.read_bytes())
    assert found[0] == found[1]


LONG = ("train.epochs=300", "train.checkpoint_words=10000")


def vectors_of(outputs: Path) -> bytes:
    (path,) = outputs.glob("cache/train/[0-9a-f]*/vectors.npy")
    return path.read_bytes()


@needs_ray
@pytest.mark.long
@pytest.mark.usefixtures("nothing_left", "faults")
def test_a_lost_process_is_told_in_one_line(tmp_path: Path) -> None:
    write_text(tmp_path)
    with start(*TRAIN, *LONG, "cluster=ray", "cluster.processes=2", cwd=tmp_path) as process:
        wait_for(tmp_path, "outputs/checkpoints/*/*/state.json", 1, process)
        os.kill(replicas_of(process.pid)[0], signal.SIGKILL)
        out, err = process.communicate(timeout=170)
    assert (process.returncode, err) == (0, "")
    assert out.count("a worker process was lost") == 1
    assert run_process(*TRAIN, *LONG, "cluster=local", "outputs=o", cwd=tmp_path).returncode == 0
    assert vectors_of(tmp_path / "outputs") == vectors_of(tmp_path / "o")


@needs_ray
@pytest.mark.long
@pytest.mark.usefixtures("nothing_left", "faults")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_training_on_ray_and_the_same_command_continues(
    tmp_path: Path, signum: int
) -> None:
    write_text(tmp_path)
    with start(*TRAIN, *LONG, "cluster=ray", "cluster.processes=1", cwd=tmp_path) as process:
        wait_for(tmp_path, "outputs/checkpoints/*/*/state.json", 1, process)
        if signum == signal.SIGINT:
            os.killpg(process.pid, signum)  # to all its processes, as a terminal does
        else:
            os.kill(process.pid, signum)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signum, err
    assert "continue with" in err
    for outputs in ("outputs", "whole"):  # from the checkpoint, and from the beginning
        again = (*TRAIN, *LONG, "cluster=local", f"outputs={outputs}")
        assert run_process(*again, cwd=tmp_path).returncode == 0
    assert vectors_of(tmp_path / "outputs") == vectors_of(tmp_path / "whole")


@needs_ray
@pytest.mark.long
@pytest.mark.usefixtures("nothing_left", "faults")
def test_ctrl_c_stops_a_sweep_on_ray_and_the_same_command_continues(tmp_path: Path) -> None:
    write_text(tmp_path)
    sweep = (*SMALL, "hydra/launcher=ray", "train.epochs=100", "seed=range(12)")
    with start(*sweep, cwd=tmp_path) as process:
        wait_for(tmp_path, "outputs/sweeps/*/*/*/summary.json", 3, process)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert err.startswith("stopped: what is finished is kept; continue with")
    done = len(train_entries(tmp_path))
    assert 3 <= done < 12
    made = summary_of(run_process(*sweep, cwd=tmp_path), tmp_path)
    assert made["counts"] == {"finished": 12}
    assert made["trained"] == 12 - done
    assert "RUNNING" not in statuses(tmp_path)


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start a Ray cluster of two nodes on this machine, with one CPU each, and yield it."""
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    try:
        cluster.second = cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        cluster.shutdown()


@needs_ray
@pytest.mark.long
def test_a_sweep_outlives_a_node(faults: int, two_nodes: Any, tmp_path: Path) -> None:
    write_text(tmp_path)
    sweep = (*SMALL, "hydra/launcher=ray", f"ray.address={two_nodes.address}", "train.epochs=60")
    with start(*sweep, "seed=range(12)", cwd=tmp_path) as process:
        wait_for(tmp_path, "outputs/sweeps/*/*/*/summary.json", 3, process)
        two_nodes.remove_node(two_nodes.second, allow_graceful=False)
        out, err = process.communicate(timeout=300)
    made = summary_of(Done(process.returncode, out, err), tmp_path)
    assert made["counts"] == {"finished": 12}
    assert len(train_entries(tmp_path)) == 12
    assert set(statuses(tmp_path)) <= {"FINISHED", "KILLED"}
    # A job that had ended, but whose answer was lost with the node, has two runs of one name.
    finished = query(tmp_path, "select distinct name from runs where status = 'FINISHED'")
    assert len(finished) == 13
