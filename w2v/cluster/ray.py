"""``cluster=ray``: workers in processes of a Ray cluster, on one or several machines.

This is the only module of the library that imports Ray, and it does so only when Ray is used.
"""

import itertools
import os
import secrets
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from w2v.cluster.engine import Round
from w2v.cluster.replica import Part, Replica, Way
from w2v.engines import Task
from w2v.errors import InputError
from w2v.text.tokens import Text

Result = TypeVar("Result")

RETRIES = 3
"""How often, at most, `run_tasks` runs a task again if its process or machine is lost."""

ATTEMPTS = 10
"""How often, at most, a round of training is tried if processes are lost. Also: if this many new
processes in a row are lost before they are ready, training goes on with those that it has."""

PATIENCE = 120.0
"""Seconds that training waits, at most, for its worker processes to run.

At the start, it waits for all of them, and then goes on with those that run. Later, it waits only
if none is left, until one runs. Training fails if none runs when the time is up.
"""

TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
"""Environment variables for the password of a Ray cluster, or for the path of a file that holds it.
Without them, the password is in ``~/.ray/auth_token``."""


def has_password() -> bool:
    """Return whether there is a password for Ray, in the environment or in the home folder."""
    saved = Path.home() / ".ray" / "auth_token"
    return any(name in os.environ for name in TOKENS) or saved.exists()


def environment(address: str | None) -> dict[str, str]:
    """Return environment variables to set for Ray, except those that are already set.

    They turn off usage statistics and some messages. For a cluster that this program starts, they
    keep Ray from lowering the priority of its processes. For a cluster that is already running,
    they turn on authentication if there is a password for Ray, in the environment or in the home
    folder (`has_password`).

    `address` is the address of a running Ray cluster, or None for one that this program starts.
    """
    wanted = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # ten lines for each error in a repeated round
    }
    if address is None:
        # At 1, Ray replaces 127.0.0.1, given as the address of a node, by another of the machine.
        wanted["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        # Ray's default is 15, with which workers stand still while other programs are busy.
        wanted["RAY_worker_niceness"] = "0"
    elif has_password():
        # As ``ray start`` decides; `ray.init` does not. A cluster without a password ignores it.
        wanted["RAY_AUTH_MODE"] = "token"
    return {name: value for name, value in wanted.items() if name not in os.environ}


MAX_FOLDER = 40
"""The longest path of Ray's temporary folder, in characters. If it would be longer, the folder is
made in ``/tmp``, because the path of a socket in it may have at most 107 bytes."""


def require_listener(address: str) -> None:
    """Raise an `InputError` if no connection to an address can be made within 10 seconds.

    Ray itself would try for two minutes. `address` is host:port.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"ray.address={address}: no Ray cluster answers ({error})") from None


@contextmanager
def connected(address: str | None, cores: int) -> Iterator[Any]:
    """Context manager: connect to a Ray cluster and yield the module ``ray``.

    If this process is already connected to a cluster, that one is used and left as it is.

    Parameters
    ----------
    address
        The address of a running cluster, such as ``10.0.0.1:6379``. None: start a cluster on this
        machine alone, on the loopback interface, without dashboard and telemetry. It is stopped and
        its files are removed at the end of the ``with`` block.
    cores
        The number of cores that a cluster started here may use.

    Raises
    ------
    InputError
        No cluster answers at the address.
    """
    os.environ |= environment(address)
    import ray

    if ray.is_initialized():  # in a job of a sweep on Ray, or in a process that uses Ray itself
        yield ray
        return
    if address is not None:
        require_listener(address)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    # Processes find this package where this one found it.
    paths = [str(Path(__file__).parents[2]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    found = {"PYTHONPATH": os.pathsep.join(dict.fromkeys(filter(None, paths)))}
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    with ExitStack() as stack:
        if address is None:
            folder = tempfile.gettempdir()
            short = None if len(folder) + len("/w2v-12345678") <= MAX_FOLDER else "/tmp"
            made = tempfile.TemporaryDirectory(prefix="w2v-", dir=short, ignore_cleanup_errors=True)
            options |= {
                "address": "local",
                "num_cpus": cores,
                "include_dashboard": False,
                "_node_ip_address": "127.0.0.1",
                "_temp_dir": stack.enter_context(made),
            }
            if not any(name in os.environ for name in TOKENS):
                found["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # Ray would write one into the home
        else:
            options |= {"address": address, "runtime_env": {"env_vars": found}}
        stack.callback(ray.shutdown)
        # Ray prints ten lines about each process that is lost. Ours are reported in one.
        if hasattr(ray._private.worker, "print_to_stdstream"):
            quiet = mock.patch.object(ray._private.worker, "print_to_stdstream")
            stack.enter_context(quiet)
        try:
            with mock.patch.dict(os.environ, found):  # what is started here inherits them
                # Ray would take the password of the last cluster for this one, too.
                if has_password() and hasattr(ray._raylet, "AuthenticationTokenLoader"):
                    ray._raylet.AuthenticationTokenLoader.instance().reset_cache()
                ray.init(**options)
        except (ConnectionError, ValueError, RuntimeError) as error:
            if address is None:
                raise
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"ray.address={address}: no Ray cluster answers ({reason})") from None
        if main:  # `ray.init` has replaced the handler
            signal.signal(signal.SIGTERM, handler)
        yield ray


def run_tasks(
    ray: Any,
    function: Callable[..., Result],
    tasks: Sequence[Sequence[Any]],
    cores: int,
    on_end: Callable[[Result], None],
) -> list[Result]:
    """Call a function in processes of the Ray cluster, once for each task, and return the results.

    `tasks` has the arguments of each call; the results are in the same order. `on_end` is called
    with each result as soon as it is available. Ray reserves `cores` cores for a task, which limits
    how many run at once.

    If the process or machine of a task is lost, the task is run again, at most `RETRIES` times. If
    tasks fail, the others are still run, and then the first error is raised. Ctrl-C cancels the
    tasks that have not ended.
    """
    remote = ray.remote(num_cpus=cores, max_retries=RETRIES)(call_in_own_group)
    started = [remote.remote(function, *arguments) for arguments in tasks]
    waiting, errors, results = list(started), [], {}
    try:
        while waiting:
            (ended, *_), waiting = ray.wait(waiting)
            try:
                results[ended] = ray.get(ended)
                on_end(results[ended])
            except ray.exceptions.RayError as error:
                wrapped = isinstance(error, ray.exceptions.RayTaskError)
                errors.append(error.cause if wrapped else error)
    finally:
        if waiting:
            # Ray crashes if a task is cancelled just as it ends, which is when Ctrl-C is noticed.
            _, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=0.1)
            for one in waiting:
                ray.cancel(one)
            ray.wait(waiting, num_returns=len(waiting), timeout=10) if waiting else None
    if errors:
        raise errors[0]
    return [results[one] for one in started]


def call_in_own_group(function: Callable[..., Result], *arguments: Any) -> Result:
    """Move this process to a process group of its own; then return ``function(*arguments)``.

    When the user presses Ctrl-C, `run_tasks` has Ray interrupt the function. A second interrupt
    would keep the function from finishing its cleanup. It would come from the terminal, which
    interrupts all processes of the program's group; so this process leaves that group.
    """
    os.setpgrp()
    return function(*arguments)


def call_on_every_node(ray: Any, function: Callable[..., None], *arguments: Any) -> None:
    """Call a function once on each machine of the Ray cluster.

    If calls raise errors, one of these is raised here. Machines that are lost are skipped.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as Node

    remote = ray.remote(num_cpus=0, max_retries=0)(function)
    places = [Node(node["NodeID"], soft=False) for node in ray.nodes() if node["Alive"]]
    calls = [remote.options(scheduling_strategy=place).remote(*arguments) for place in places]
    for call in calls:
        try:
            ray.get(call)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError:  # the machine was lost
            pass


def enter_shared_folder(folder: Path, file: Path, setting: str) -> None:
    """Change the working directory of a Ray process to `folder`, and check that `file` exists.

    If this machine does not have `folder`, the working directory stays as it is.

    Parameters
    ----------
    folder
        The folder, which the machines of the Ray cluster should share.
    file
        A path that is absolute or relative to `folder`.
    setting
        The setting that decides where `file` is, such as ``outputs=o``, for the error message.

    Raises
    ------
    InputError
        This machine does not see `file`.
    """
    with suppress(OSError):
        os.chdir(folder)
    if not file.exists():
        raise InputError(
            f"{setting}: the machine {os.uname().nodename} does not see this folder from "
            f"{folder}; give one that all machines of the Ray cluster share"
        )


def node_cores(ray: Any) -> list[int]:
    """Return the number of cores of each node (machine) that is alive in the Ray cluster."""
    return [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]


def threads_that_fit(nodes: Sequence[int], processes: int) -> int:
    """Return the largest number of threads per process for which all processes fit on the nodes.

    A process runs on one node and needs a core for each of its threads. The result is 0 if the
    processes do not fit with one thread each. `nodes` has the number of cores of each node.
    """
    threads = max(nodes, default=0)
    while threads > 0 and sum(cores // threads for cores in nodes) < processes:
        threads -= 1
    return threads


class TokenFile(NamedTuple):
    """A text whose tokens are read from a file on a file system that all machines share.

    Attributes
    ----------
    path
        An ``.npy`` file.
    size
        The number of tokens.
    ids : int32 (types,)
        The vocabulary id of each type (distinct token), as in `w2v.text.tokens.Text`.
    """

    path: str
    size: int
    ids: NDArray[np.int32]

    def open(self) -> Text:
        """Open the text with its tokens memory-mapped, but without documents.

        `Text.spans`, which would have the start and end of each document, is empty. The documents
        that a worker trains on are given to it with each `Part`.

        Raises
        ------
        InputError
            The file is missing on this machine, or has another number of tokens.
        """
        try:
            tokens = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError):
            tokens = np.empty(0, np.int32)
        if len(tokens) != self.size:
            raise InputError(
                f"cluster.text=path: the machine {os.uname().nodename} does not find the text in "
                f"{self.path}; give a folder that all machines share, or cluster.text=store"
            )
        return Text(tokens, self.ids, np.empty((0, 2), np.int64))


def to_send(text: Text, how: str) -> Text | TokenFile:
    """Return a text in the form in which it is sent to the processes of a Ray cluster.

    If `how` is ``path`` and the tokens are memory-mapped from a file, the result is a `TokenFile`,
    which has the path of this file. Otherwise it is a `Text` with the tokens themselves, for Ray's
    object store. The attribute `spans` of this `Text`, the start and end of each document, is
    empty. Neither result needs it: in each round of training, a worker gets a `Part`, which has the
    start and end of each document that it trains on.
    """
    path = getattr(text.tokens, "filename", None)
    if how == "path" and path is not None:
        return TokenFile(str(Path(path).absolute()), len(text.tokens), np.asarray(text.ids))
    return Text(np.asarray(text.tokens), np.asarray(text.ids), np.empty((0, 2), np.int64))


class RayReplica(Replica):
    """A copy of the model in a process of a Ray cluster."""

    def __init__(self) -> None:
        """Do nothing: `setup` makes the copy of the model, because Ray hides errors raised here."""

    def started(self) -> None:
        """Do nothing. The caller waits for the end of this call to know that the process runs."""

    def setup(self, engine: str, task: Task, text: Text | TokenFile) -> float:
        """Make the copy of the model in this process, and the engine that trains it.

        Return the seconds spent on compiling kernels, or on loading compiled ones.
        """
        super().__init__(engine, task, text.open() if isinstance(text, TokenFile) else text)
        return self.compile_seconds()


class RayPool:
    """The processes of a Ray cluster in which workers train, each with a copy of the model.

    It implements `w2v.cluster.engine.Pool`. In a round, each worker trains on its part of the text,
    and then the changes of all workers are combined. If a process is lost during a round, the other
    processes repeat the round from its start, and a new process joins them when it is ready. The
    trained vectors are the same, bit for bit, as if no process were lost.

    Parameters
    ----------
    ray
        The module, connected to a cluster.
    processes, threads
        The number of processes, and of threads (with a reserved core each) per process.
    text
        How processes get the text: ``path``, from a file that all machines share; or ``store``,
        through Ray's object store.
    report
        Called with messages on processes that are lost or join late.
    """

    def __init__(
        self, ray: Any, processes: int, threads: int, text: str, report: Callable[[str], None]
    ) -> None:
        self.ray, self.wanted, self.threads = ray, processes, threads
        self.text, self.report = text, report
        self.replicas: list[Any] = []
        # The pending result of `setup` -> the replica, and the pending result of `started`.
        self.starting: dict[Any, tuple[Any, Any]] = {}
        self.loaded = False
        self.failed = 0  # processes in a row that were lost before they were ready

    @property
    def processes(self) -> int:
        """The number of processes that train now, without those that are still starting."""
        return len(self.replicas)

    def start(self, engine: str, task: Task, text: Text) -> float:
        """Start the processes. The task and the text are sent once to each machine.

        Processes that do not run within `PATIENCE` seconds join the training later. Return the
        seconds that the slowest of the other processes spent on compiling or loading kernels.

        Raises
        ------
        InputError
            No process could start in time, processes were lost `ATTEMPTS` times in a row, or a
            machine does not find the file of the text.
        """
        task = replace(task, threads=self.threads)
        self.arguments = engine, self.ray.put(task), self.ray.put(to_send(text, self.text))
        seconds = self._until_done(lambda: self._join(self.wanted))
        if self.starting:
            self.report(
                f"{len(self.replicas)} of {self.wanted} processes train; the others join them when "
                "there are cores for them"
            )
        return seconds

    def close(self) -> None:
        """End the pool's training processes, also those that are still starting.

        The Ray cluster keeps running.
        """
        for one in (*self.replicas, *(one for one, _ in self.starting.values())):
            with suppress(self.ray.exceptions.RayError):
                self.ray.kill(one)
        self.replicas, self.starting = [], {}

    def load(self, table: NDArray[np.float32]) -> None:  # noqa: ARG002
        """Mark the models of all processes as outdated, so that the next round replaces them.

        `table` is not used: the next call of `round` gets the new model as its own argument
        `table`, and sends this to the processes.
        """
        self.loaded = False

    def round(self, parts: Sequence[Part], way: Way, table: NDArray[np.float32]) -> Round:
        """Train one round with all workers, and update the copy of the model in each process.

        Each worker, in one of the processes, trains on its part of the text. Then all processes
        apply the combined changes to their copies. The result has the changed rows of the model,
        with their new values. If a process is lost, the round is repeated.

        Parameters
        ----------
        way
            How the changes are combined, for example as their mean.
        table : float32 (rows, d)
            The model before the round; not changed here: the caller updates it from the result.
            Processes get it only if their copies are outdated.

        Raises
        ------
        InputError
            Processes were lost `ATTEMPTS` times in a row, or none is left and none could start.
        """

        def attempt() -> Round:
            self._join(0 if self.replicas else 1)
            if not self.loaded:
                model = self.ray.put(table)
                self.ray.get([one.load.remote(model) for one in self.replicas])
                self.loaded = True
            return self._round(parts, way)

        return self._until_done(attempt)

    def _until_done(self, action: Callable[[], Result]) -> Result:
        """Call a function until no process is lost, at most `ATTEMPTS` times; return its result.

        If a process is lost in the last call as well, an `InputError` is raised. Other errors in
        a process are raised at once, as the error that occurred there and not as Ray's own error.
        """
        errors = self.ray.exceptions
        for number in itertools.count(1):
            try:
                return action()
            except errors.RayError as error:
                if isinstance(error, errors.RayTaskError):
                    if not isinstance(error.cause, errors.RayError):
                        raise error.cause from None
                    error = error.cause  # the task failed because it needed a lost process
                self._drop_lost()
                reason = type(error).__name__
                if number == ATTEMPTS:
                    raise InputError(
                        f"cluster=ray: worker processes were lost {number} times in a row "
                        f"({reason}: {str(error).splitlines()[0]})"
                    ) from error
                self.report(f"a worker process was lost ({reason}): its round is done again")
        raise AssertionError

    def _drop_lost(self) -> None:
        """Remove the lost processes from `self.replicas`, so that the round can be repeated.

        The processes that are left may still be busy with the failed round: this method waits
        until they are done. Their models are marked as outdated, because the round may have
        changed some of them.
        """
        self.loaded = False
        answers = [(one, one.compile_seconds.remote()) for one in self.replicas]
        self.replicas = []
        for one, answer in answers:
            try:
                self.ray.get(answer)
                self.replicas.append(one)
            except self.ray.exceptions.RayError:
                self.ray.kill(one)  # it may live, out of reach

    def _join(self, number: int) -> float:
        """Start the missing processes, and let those that are ready take part in training.

        Processes are missing if fewer than ``self.wanted`` train or are starting. This method waits
        at most `PATIENCE` seconds until `number` new processes run, and then until the new
        processes that run are ready (have made their copies of the model). If `number` is 0, this
        method does not wait: only processes that are already ready take part. Return the seconds
        that the slowest process that joined in this call spent on compiling or loading kernels; 0
        if none joined.

        Raises
        ------
        InputError
            No process trains, and none could start in time.
        """
        ray, seconds = self.ray, 0.0
        remote = ray.remote(RayReplica).options(num_cpus=self.threads, scheduling_strategy="SPREAD")
        for _ in range(self.wanted - len(self.replicas) - len(self.starting)):
            one = remote.remote()
            started = one.started.remote()
            self.starting[one.setup.remote(*self.arguments)] = one, started
        if not self.starting:
            return seconds
        setups = {started: setup for setup, (_, started) in self.starting.items()}
        most = min(number, len(setups)) or len(setups)
        running, _ = ray.wait(list(setups), num_returns=most, timeout=PATIENCE if number else 0.0)
        for started in running:
            setup = setups[started]
            if not number and not ray.wait([setup], timeout=0.0)[0]:
                continue
            one, _ = self.starting.pop(setup)
            self.failed += 1
            if self.failed == ATTEMPTS and self.replicas:
                self.wanted = len(self.replicas) + len(self.starting)
            seconds = max(seconds, ray.get(setup))
            self.replicas.append(one)
            self.loaded, self.failed = False, 0
        if not self.replicas:
            raise InputError(
                f"cluster=ray: none of {self.wanted} processes with {self.threads} cores each "
                f"could start in {PATIENCE:.0f} s; the cluster is busy"
            )
        return seconds

    def _round(self, parts: Sequence[Part], way: Way) -> Round:
        replicas, pieces = self.replicas, len(self.replicas)
        reports, changes = [], []
        for number, part in enumerate(parts):
            train = replicas[number % pieces].train.options(num_returns=1 + pieces)
            done, *changed = train.remote(part, pieces)
            reports.append(done)
            changes.append(changed)
        seconds, combined = [], []
        for one, of_all in zip(replicas, zip(*changes, strict=True), strict=True):
            spent, rows = one.combine.options(num_returns=2).remote(way, *of_all)
            seconds.append(spent)
            combined.append(rows)
        seconds += [one.apply.remote(*combined) for one in replicas]
        get = self.ray.get
        return Round(get(reports), get(combined), sum(get(seconds)))
