"""Killed at any moment, a command that is given again ends as if nothing had happened.

``pytest tests/test_faults.py --kills 200 -s`` kills as often; otherwise a few dozen times.
"""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest

from tests.forks import Forked, Forks, forks

STAGES = ("tokenize", "vocab", "train", "evaluate")

COMMON = (
    "corpus=files",
    "corpus.path=text.txt",
    "model.dim=32",
    "train.checkpoint_words=1",
)
COMMANDS = {
    "negsample": (*COMMON, "engine=numpy", "train.epochs=3"),
    "softmax": (*COMMON, "engine=numpy", "loss=softmax", "train.epochs=2"),
    "numba": (*COMMON, "engine=numba", "engine.threads=1", "train.epochs=6"),
}


@dataclass
class Reference:
    """What a command makes that nothing interrupts."""

    vectors: dict[str, bytes]
    history: Any
    seconds: dict[str, float]
    whole: float


@pytest.fixture(scope="module")
def server() -> Iterator[Forks]:
    with forks() as server:
        yield server


@pytest.fixture(scope="module")
def template(server: Forks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text and an MLflow database that has its schema."""
    folder = tmp_path_factory.mktemp("template")
    draw = np.random.default_rng(0)
    weights = 1 / np.arange(1, 401)
    words = draw.choice(400, size=(4000, 50), p=weights / weights.sum())
    # Long words among the rare ones: the vocabulary should not fit into the smallest of limits.
    names = [f"w{word}" + "x" * (40 if word >= 50 else 0) for word in range(400)]
    lines = [" ".join(names[word] for word in row) for row in words.tolist()]
    (folder / "text.txt").write_text("\n".join(lines) + "\n")
    started = server.start((*COMMANDS["negsample"], "stages=[vocab]"), folder)
    assert started.wait() == 2  # the tokens are not there; the database is
    (folder / "outputs" / "mlflow.db").rename(folder / "mlflow.db")
    shutil.rmtree(folder / "outputs")
    return folder


def new_folder(template: Path, folder: Path) -> Path:
    (folder / "outputs").mkdir(parents=True)
    shutil.copy(template / "mlflow.db", folder / "outputs" / "mlflow.db")
    (folder / "text.txt").hardlink_to(template / "text.txt")
    return folder


def entries(folder: Path, stage: str) -> list[Path]:
    """The entries of a stage: what is neither hidden nor set aside."""
    return entries_in(folder / "outputs", stage)


def entries_in(outputs: Path, stage: str) -> list[Path]:
    found = (outputs / "cache" / stage).glob("*")
    return [path for path in found if not path.name.startswith(".") and "damaged" not in path.name]


def untimed(history: Any) -> Any:
    """A history without what the clock adds."""
    if isinstance(history, dict):
        return {key: untimed(value) for key, value in history.items() if key != "seconds"}
    return [untimed(item) for item in history] if isinstance(history, list) else history


def outcome(folder: Path) -> tuple[dict[str, bytes], Any]:
    return outcome_in(folder / "outputs")


def outcome_in(outputs: Path) -> tuple[dict[str, bytes], Any]:
    [entry] = entries_in(outputs, "train")
    vectors = {path.name: path.read_bytes() for path in entry.glob("*.np?")}
    return vectors, untimed(json.loads((entry / "history.json").read_bytes()))


@pytest.fixture(scope="module")
def references(
    server: Forks, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Reference]:
    found = {}
    for name, arguments in COMMANDS.items():
        folder = new_folder(template, tmp_path_factory.mktemp("reference") / name)
        started = server.start(arguments, folder)
        assert started.wait() == 0, started.out.read_text()
        whole = time.monotonic() - started.begun
        [path] = folder.glob("outputs/runs/*/*/summary.json")
        stages = json.loads(path.read_bytes())["stages"]
        seconds = {stage: stages[stage]["seconds"] for stage in STAGES}
        vectors, history = outcome(folder)
        assert {"vectors.npy", "outside_vectors.npy"} <= set(vectors)
        found[name] = Reference(vectors, history, seconds, whole)
    return found


def running(number: int) -> bool:
    return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def kill_in(stage: str, started: Forked, folder: Path, longest: float, chance: Any) -> str:
    """Kill a command at a random moment of a stage, or of its whole life; says where it was."""
    cache = folder / "outputs" / "cache"
    while stage != "any" and running(started.number):
        if any((cache / stage).glob(".*.part")):
            break
        time.sleep(0.0005)
    time.sleep(chance.uniform(0, longest))
    inside = [name for name in STAGES if any((cache / name).glob(".*.part"))]
    alive = running(started.number)
    os.kill(started.number, signal.SIGKILL)  # not waited for yet: the number is still its own
    return "ended" if not alive else inside[0] if inside else "between"


def check_whole(folder: Path) -> None:
    """No half of anything, and every byte as its manifest has it."""
    outputs = folder / "outputs"
    assert not list(outputs.glob("checkpoints/*"))
    for stage in STAGES:
        hidden = {p.suffix for p in (outputs / "cache" / stage).iterdir() if p.name[0] == "."}
        assert hidden <= {".lock"}
        [entry] = [p for p in (outputs / "cache" / stage).iterdir() if p.name[0] != "."]
        manifest = json.loads((entry / "manifest.json").read_bytes())
        found = {str(p.relative_to(entry)) for p in entry.rglob("*") if p.is_file()}
        assert found == {*manifest["files"], "manifest.json"}
        for name, file in manifest["files"].items():
            data = (entry / name).read_bytes()
            assert len(data) == file["bytes"]
            assert hashlib.sha256(data).hexdigest() == file["sha256"]


def check_tracked(folder: Path, history: Any, store: Path | None = None) -> None:
    """No run is left open, and the last one has the whole history once."""
    with sqlite3.connect(store or folder / "outputs" / "mlflow.db") as database:
        runs = database.execute("select run_uuid, status from runs order by start_time").fetchall()
        assert {status for _, status in runs} <= {"FINISHED", "KILLED", "FAILED"}
        finished = [run for run, status in runs if status == "FINISHED"]
        assert finished[-1] == runs[-1][0]
        query = "select step, value from metrics where run_uuid = ? and key = ? order by step"
        for key, field in (("train/loss", "loss"), ("train/lr", "lr")):
            logged = database.execute(query, (finished[-1], key)).fetchall()
            assert logged == [(point["words"], point[field]) for point in history["points"]]
        losses = [value for _, value in database.execute(query, (finished[-1], "epoch/loss"))]
        assert losses == [epoch["loss"] for epoch in history["epochs"]]


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_any_moment_the_next_run_ends_with_the_same_bits(
    name: str,
    server: Forks,
    template: Path,
    references: dict[str, Reference],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    wanted = references[name]
    kills = -(-int(request.config.getoption("--kills")) // len(COMMANDS))
    chance = random.Random(f"{name} {kills}")
    where: Counter[str] = Counter()
    resumed = chains = 0
    while where.total() - where["ended"] < kills:
        chains += 1
        folder = new_folder(template, tmp_path / str(chains))
        for _ in range(chance.randint(1, 4)):
            missing = [stage for stage in STAGES if not entries(folder, stage)]
            stage = chance.choice([*missing, "any"])
            longest = 1.2 * (wanted.whole if stage == "any" else wanted.seconds[stage])
            started = server.start(COMMANDS[name], folder)
            where[kill_in(stage, started, folder, longest, chance)] += 1
            assert started.wait() in (-signal.SIGKILL, 0), started.out.read_text()
        last = server.start(COMMANDS[name], folder)
        assert last.wait() == 0, last.out.read_text()
        resumed += "goes on in epoch" in last.out.read_text()
        vectors, history = outcome(folder)
        assert vectors == wanted.vectors
        assert history == wanted.history
        check_whole(folder)
        check_tracked(folder, history)
        shutil.rmtree(folder)
    print(f"\n{name}: {dict(where)} in {chains} chains, {resumed} gone on from a checkpoint")


# Files that rot


@pytest.fixture(scope="module")
def finished(server: Forks, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose cache holds every stage of one command."""
    folder = new_folder(template, tmp_path_factory.mktemp("finished") / "softmax")
    assert server.start((*COMMANDS["softmax"], "tracking=none"), folder).wait() == 0
    return folder


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def test_each_file_that_rots_is_found_and_made_again(server: Forks, finished: Path) -> None:
    wanted = outcome(finished)
    scores = {p.name: p.read_bytes() for p in entries(finished, "evaluate")[0].glob("*.csv")}
    kinds = {
        stage: sorted(str(path.relative_to(entry)) for path in entry.rglob("*") if path.is_file())
        for stage in STAGES
        for entry in entries(finished, stage)
    }
    assert {"tokens.npy", "manifest.json"} <= {*kinds["tokenize"]}
    assert {"vectors.npy", "engine.npz", "history.json"} <= {*kinds["train"]}
    # Of the many tables and pictures, one of each kind.
    kinds["evaluate"] = [*{Path(name).suffix: name for name in kinds["evaluate"]}.values()]
    damage = [(stage, name, flip) for stage in STAGES for name in kinds[stage]]
    damage += [("train", "vectors.npy", cut), ("vocab", "manifest.json", empty)]
    for stage, name, harm in damage:
        [entry] = entries(finished, stage)
        harm(entry / name)
        verify = "size" if harm is not flip or name == "manifest.json" else "sha256"
        arguments = (*COMMANDS["softmax"], "tracking=none", f"cache.verify={verify}")
        started = server.start(arguments, finished)
        assert started.wait() == 0, started.out.read_text()
        said = [line for line in started.out.read_text().split("\n") if "is damaged" in line]
        assert len(said) == 1, (stage, name)
        path = entry.relative_to(finished)
        assert said[0].startswith(f"{path} is damaged ("), said
        [aside] = (finished / "outputs" / "cache" / stage).glob("*.damaged-*")
        assert said[0].endswith(f"): set aside as {aside.name} and made again")
        shutil.rmtree(aside)
        assert outcome(finished) == wanted
    again = {p.name: p.read_bytes() for p in entries(finished, "evaluate")[0].glob("*.csv")}
    assert again == scores
    check_whole(finished)


def test_a_damaged_checkpoint_costs_a_piece_and_two_cost_the_training(
    server: Forks, template: Path, references: dict[str, Reference], tmp_path: Path
) -> None:
    for damaged, line in ((1, "is no good (center.npy is not as it was written)"), (2, "begins ")):
        folder = new_folder(template, tmp_path / str(damaged))
        arguments = (*COMMANDS["negsample"], "tracking=none")
        started = server.start(arguments, folder)
        while running(started.number) and len(list(folder.glob("outputs/checkpoints/*/0*"))) < 2:
            time.sleep(0.001)
        os.kill(started.number, signal.SIGKILL)
        assert started.wait() == -signal.SIGKILL
        found = sorted(folder.glob("outputs/checkpoints/*/0*"))
        for path in found[-damaged:]:
            flip(path / "center.npy")
        last = server.start(arguments, folder)
        assert last.wait() == 0, last.out.read_text()
        assert line in last.out.read_text()
        assert outcome(folder) == (references["negsample"].vectors, references["negsample"].history)


# Disks that are full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A file system of 64 MB; None where this process may not mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)]
    mounted = subprocess.run(command, capture_output=True).returncode == 0
    yield place if mounted else None
    if mounted:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("way", ["disk", "limit"])
def test_a_full_disk_leaves_what_is_finished_whole(
    stage: str,
    way: str,
    server: Forks,
    template: Path,
    references: dict[str, Reference],
    small_disk: Path | None,
    tmp_path: Path,
) -> None:
    """Where no file system can be mounted, a limit on the size of files is the other way."""
    place = small_disk if way == "disk" and small_disk else tmp_path
    folder = new_folder(template, tmp_path / "here")
    arguments = (*COMMANDS["negsample"], "tracking=none", f"outputs={place / 'outputs'}")
    before = STAGES[: STAGES.index(stage)]
    if before:
        first = (*arguments, f"stages=[{','.join(before)}]")
        assert server.start(first, folder).wait() == 0
    ballast = place / "ballast"
    if way == "disk" and small_disk:
        # Room for the run's own folder and the start of the stage's files.
        size = shutil.disk_usage(place).free - 40_000
        ballast.write_bytes(bytes(size))
        started = server.start(arguments, folder)
    else:
        started = server.start(arguments, folder, largest=9_000)
    status, said = started.wait(), started.out.read_text().strip().split("\n")
    assert status == 2, said
    errors = [line for line in said if line.startswith("error: ")]
    assert len(errors) == 1, said
    # Tokenizing and training know beforehand, where the disk tells.
    known = rf"^error: ({stage}: the disk of .* is full|(training|tokenizing) .* free)"
    assert re.search(known, errors[0]), errors
    assert not any("Traceback" in line for line in said)
    for made in before:
        [entry] = entries_in(place / "outputs", made)
        manifest = json.loads((entry / "manifest.json").read_bytes())
        for name, file in manifest["files"].items():
            assert hashlib.sha256((entry / name).read_bytes()).hexdigest() == file["sha256"]
    for missing in STAGES[len(before) :]:
        assert entries_in(place / "outputs", missing) == []
        assert not list((place / "outputs" / "cache" / missing).glob(".*.part"))
    ballast.unlink(missing_ok=True)
    last = server.start(arguments, folder)
    assert last.wait() == 0, last.out.read_text()
    [entry] = entries_in(place / "outputs", "train")
    wanted = references["negsample"].vectors
    assert {path.name: path.read_bytes() for path in entry.glob("*.np?")} == wanted


# A server that goes away


@contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    ) as process:
        try:
            for _ in range(1200):
                with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                    break
                assert process.poll() is None
                time.sleep(0.1)
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_a_server_that_goes_away_costs_nothing(
    server: Forks,
    template: Path,
    references: dict[str, Reference],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    wanted = references["negsample"]
    folder = new_folder(template, tmp_path / "here")
    shutil.copy(template / "mlflow.db", tmp_path / "server.db")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = (*COMMANDS["negsample"], f"tracking.uri=http://127.0.0.1:{port}")

    def in_training(outputs: str) -> Forked:
        started = server.start((*arguments, f"outputs={outputs}"), folder)
        while running(started.number) and not list((folder / outputs).glob("checkpoints/*/0*")):
            time.sleep(0.001)
        assert running(started.number), started.out.read_text()
        return started

    with mlflow_server(tmp_path, port) as process:
        # Away for a while: everything arrives.
        started = in_training("one")
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(20 if request.config.getoption("--kills") >= 200 else 3)
        os.killpg(process.pid, signal.SIGCONT)
        assert started.wait() == 0, started.out.read_text()
        assert "warning" not in started.out.read_text()
        check_tracked(folder, outcome_in(folder / "one")[1], tmp_path / "server.db")
        # Away for good: the run ends all the same, and says what to do.
        started = in_training("two")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert started.wait() == 0, started.out.read_text()
    said = started.out.read_text()
    assert f"waiting for http://127.0.0.1:{port} (Connection refused)\n" in said
    assert (
        f"warning: http://127.0.0.1:{port} did not take all of this run (Connection refused); the "
        "results are on disk, and the same command, given again, logs them from there\n"
    ) in said
    assert outcome_in(folder / "two") == (wanted.vectors, wanted.history)
    started = server.start((*arguments, "outputs=two"), folder)
    assert started.wait() == 2
    assert started.out.read_text() == (
        f"error: tracking.uri=http://127.0.0.1:{port}: cannot be used (Connection refused)\n"
    )
    with mlflow_server(tmp_path, port):
        started = server.start((*arguments, "outputs=two"), folder)
        assert started.wait() == 0, started.out.read_text()
    check_tracked(folder, wanted.history, tmp_path / "server.db")
