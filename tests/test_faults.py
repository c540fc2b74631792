"""Test that commands give the same vectors after kills, damage, full disks and lost servers.

``pytest -m long tests/test_faults.py --kills 200 -s`` kills commands at least 200 times instead of
at least 6.
"""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.cache.store import read_manifest
from tests.forks import Forked, Forks, forks
from tests.servers import free_port, mlflow_server

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("faults")]

STAGES = ("tokenize", "vocab", "train", "evaluate")

COMMON = (
    "corpus=files",
    "corpus.path=text.txt",
    "model.dim=32",
    "train.checkpoint_words=1",
    "evaluate.similarity={simlex999:null}",  # one benchmark and no map: pictures take long
    "evaluate.analogy={google:null}",
    "evaluate.map=[]",
)
COMMANDS = {
    "negsample": (*COMMON, "engine=numpy", "train.epochs=3"),
    "softmax": (*COMMON, "engine=numpy", "loss=softmax", "train.epochs=2", "train.decay_epochs=2"),
    "numba": (*COMMON, "engine=numba", "train.epochs=6"),
}


@dataclass
class Reference:
    """The results and the duration of an uninterrupted command."""

    outputs: Path
    vectors: dict[str, bytes]
    history: Any
    stage_seconds: dict[str, float]
    seconds: float


@pytest.fixture(scope="module")
def server() -> Iterator[Forks]:
    with forks() as server:
        yield server


@pytest.fixture(scope="module")
def template(server: Forks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a text and a new MLflow database, which `new_folder` copies for a test."""
    folder = tmp_path_factory.mktemp("template")
    draw = np.random.default_rng(0)
    weights = 1 / np.arange(1, 401)
    words = draw.choice(400, size=(1500, 50), p=weights / weights.sum())
    # The rare words are long, so that the vocabulary exceeds the smallest limit on file sizes.
    names = [f"w{word}" + "x" * (40 if word >= 50 else 0) for word in range(400)]
    lines = [" ".join(names[word] for word in row) for row in words.tolist()]
    (folder / "text.txt").write_text("\n".join(lines) + "\n")
    started = server.start((*COMMANDS["negsample"], "stages=[vocab]"), folder)
    assert started.wait() == 2  # there are no tokens, but the database has been made
    (folder / "outputs" / "mlflow.db").rename(folder / "mlflow.db")
    shutil.rmtree(folder / "outputs")
    return folder


def new_folder(template: Path, folder: Path) -> Path:
    """Make a working directory for a command, as a copy of `template`."""
    (folder / "outputs").mkdir(parents=True)
    shutil.copy(template / "mlflow.db", folder / "outputs" / "mlflow.db")
    (folder / "text.txt").hardlink_to(template / "text.txt")
    return folder


def entries(folder: Path, stage: str) -> list[Path]:
    return entries_in(folder / "outputs", stage)


def entries_in(outputs: Path, stage: str) -> list[Path]:
    """Return a stage's cache entries, except unfinished ones and those found to be damaged."""
    found = (outputs / "cache" / stage).glob("*")
    return [path for path in found if not path.name.startswith(".") and "damaged" not in path.name]


def untimed(history: Any) -> Any:
    """Return a training history without its times, to compare it with that of another training.

    The history consists of nested lists and dictionaries; the keys ``"seconds"`` are left out.
    """
    if isinstance(history, dict):
        return {key: untimed(value) for key, value in history.items() if key != "seconds"}
    return [untimed(item) for item in history] if isinstance(history, list) else history


def outcome(folder: Path) -> tuple[dict[str, bytes], Any]:
    return outcome_in(folder / "outputs")


def outcome_in(outputs: Path) -> tuple[dict[str, bytes], Any]:
    """Return what the cached training in `outputs` has made, to compare it with another training.

    The result is the bytes of each file of arrays, by file name, and the history without times.
    """
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
        whole_seconds = time.monotonic() - started.begun
        [path] = folder.glob("outputs/runs/*/*/summary.json")
        stages = json.loads(path.read_bytes())["stages"]
        seconds = {stage: stages[stage]["seconds"] for stage in STAGES}
        vectors, history = outcome(folder)
        assert {"vectors.npy", "outside_vectors.npy"} <= set(vectors)
        found[name] = Reference(folder / "outputs", vectors, history, seconds, whole_seconds)
    return found


def running(number: int) -> bool:
    return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def kill_in(stage: str, started: Forked, folder: Path, longest: float, chance: Any) -> str:
    """Kill a command after a random time; return the stage in which it was killed.

    The result is ``"between"`` if no stage was running, and ``"ended"`` if the command had ended.

    Parameters
    ----------
    stage
        The random time begins when this stage has begun, or at once if it is ``"any"``.
    started, folder
        The command and its working directory.
    longest
        The longest random time, in seconds.
    chance
        The random number generator, a `random.Random`.
    """
    cache = folder / "outputs" / "cache"
    while stage != "any" and running(started.number):
        if any((cache / stage).glob(".*.part")):
            break
        time.sleep(0.0005)
    time.sleep(chance.uniform(0, longest))
    inside = [name for name in STAGES if any((cache / name).glob(".*.part"))]
    alive = running(started.number)
    os.kill(started.number, signal.SIGKILL)  # safe: an id is free only after a wait
    return "ended" if not alive else inside[0] if inside else "between"


def check_whole(folder: Path) -> None:
    """Check that each stage has one undamaged cache entry, and that nothing unfinished is left."""
    outputs = folder / "outputs"
    assert not list(outputs.glob("checkpoints/*"))
    for stage in STAGES:
        hidden = {p.suffix for p in (outputs / "cache" / stage).iterdir() if p.name[0] == "."}
        assert hidden <= {".lock", ".json", ".npz"}  # the last two hold what entries share
        [entry] = [p for p in (outputs / "cache" / stage).iterdir() if p.name[0] != "."]
        manifest = json.loads((entry / "manifest.json").read_bytes())
        found = {str(p.relative_to(entry)) for p in entry.rglob("*") if p.is_file()}
        assert found == {*manifest["files"], "manifest.json"}
        for name, file in manifest["files"].items():
            data = (entry / name).read_bytes()
            assert len(data) == file["bytes"]
            assert hashlib.sha256(data).hexdigest() == file["sha256"]


def check_tracked(folder: Path, history: Any, store: Path | None = None) -> None:
    """Check that all MLflow runs are FINISHED, KILLED or FAILED, and that the last one is FINISHED.

    The last one must have recorded the whole training history, which is `history`. `store` is the
    MLflow database; None for the one in `folder`.
    """
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
def test_a_run_after_kills_at_random_times_gives_the_same_vectors(
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
    chains = 0
    while where.total() - where["ended"] < kills:
        chains += 1
        folder = new_folder(template, tmp_path / str(chains))
        for _ in range(chance.randint(1, 4)):
            missing = [stage for stage in STAGES if not entries(folder, stage)]
            stage = chance.choice([*missing, "any"])
            longest = 1.2 * (wanted.seconds if stage == "any" else wanted.stage_seconds[stage])
            threads = f"engine.threads={chance.randint(1, 5)}"
            started = server.start((*COMMANDS[name], threads), folder)
            where[kill_in(stage, started, folder, longest, chance)] += 1
            assert started.wait() in (-signal.SIGKILL, 0), started.out.read_text()
        threads = f"engine.threads={chance.randint(1, 5)}"
        last = server.start((*COMMANDS[name], threads), folder)
        assert last.wait() == 0, last.out.read_text()
        vectors, history = outcome(folder)
        assert vectors == wanted.vectors
        assert history == wanted.history
        check_whole(folder)
        check_tracked(folder, history)
        shutil.rmtree(folder)
    print(f"\n{name}: killed in {dict(where)}, {chains} times run to the end")


# Damaged files


@pytest.fixture(scope="module")
def finished(server: Forks, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run an experiment to its end, without faults, and return its working directory.

    The cache in this folder has the results of all stages.
    """
    folder = new_folder(template, tmp_path_factory.mktemp("finished") / "softmax")
    assert server.start((*COMMANDS["softmax"], "tracking=none"), folder).wait() == 0
    return folder


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()  # results may share the file, which would damage them all
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def test_a_damaged_file_in_the_cache_is_found_and_made_again(server: Forks, finished: Path) -> None:
    wanted = outcome(finished)
    scores = {p.name: p.read_bytes() for p in entries(finished, "evaluate")[0].glob("*.csv")}
    names = {
        stage: sorted(str(path.relative_to(entry)) for path in entry.rglob("*") if path.is_file())
        for stage in STAGES
        for entry in entries(finished, stage)
    }
    for of_stage in names.values():
        of_stage.remove("manifest.json")
    assert "tokens.npy" in names["tokenize"]
    assert {"vectors.npy", "engine.npz", "history.json"} <= {*names["train"]}
    # There are many tables and pictures; one of each kind is enough.
    names["evaluate"] = [*{Path(name).suffix: name for name in names["evaluate"]}.values()]

    def damage_and_repair(files: Mapping[str, str], harm: Callable[[Path], None], how: str) -> None:
        damaged = {stage: entries(finished, stage)[0] for stage in files}
        for stage, name in files.items():
            harm(damaged[stage] / name)
            assert read_manifest(damaged[stage], how == "sha256")[1]
        found = damaged
        if how == "sha256":  # results made from the first are moved aside with it
            found = dict(list(damaged.items())[:1])
        arguments = (*COMMANDS["softmax"], "tracking=none", f"cache.verify={how}")
        started = server.start(arguments, finished)
        assert started.wait() == 0, started.out.read_text()
        lines = started.out.read_text().split("\n")
        messages = [line for line in lines if "damaged" in line]
        assert len(messages) == len(found), (files, messages)
        for message, (stage, entry) in zip(messages, found.items(), strict=True):
            assert message.startswith(str(entry.relative_to(finished))), (files, message)
            [moved] = (finished / "outputs" / "cache" / stage).glob("*.damaged-*")
            assert moved.name in message
        aside = [*(finished / "outputs" / "cache").glob("*/*.damaged-*")]
        assert {path.parent.name for path in aside} >= damaged.keys()
        for path in aside:
            shutil.rmtree(path)
        assert outcome(finished) == wanted

    for row in zip_longest(*names.values()):
        files = {stage: name for stage, name in zip(names, row, strict=True) if name}
        damage_and_repair(files, flip, "sha256")
    manifests = dict.fromkeys(STAGES, "manifest.json")
    damage_and_repair(manifests, flip, "size")
    damage_and_repair(manifests, empty, "size")
    damage_and_repair({"tokenize": "tokens.npy", "train": "vectors.npy"}, cut, "size")
    again = {p.name: p.read_bytes() for p in entries(finished, "evaluate")[0].glob("*.csv")}
    assert again == scores
    check_whole(finished)


def test_training_resumes_from_an_older_checkpoint_or_starts_again_if_all_are_damaged(
    server: Forks, template: Path, references: dict[str, Reference], tmp_path: Path
) -> None:
    for damaged in (1, 2):
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
        assert last.out.read_text().count("center.npy") == damaged
        assert outcome(folder) == (references["negsample"].vectors, references["negsample"].history)


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """Mount a file system of 64 MB, and yield its folder; None if mounting is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)]
    mounted = subprocess.run(command, capture_output=True).returncode == 0
    yield place if mounted else None
    if mounted:
        subprocess.run(["umount", str(place)], check=True)


# Writing fails in two ways: the disk is full, or a file exceeds the process's limit.
@pytest.mark.parametrize(
    ("way", "stage"), [*(("disk", stage) for stage in STAGES), ("limit", "train")]
)
def test_a_full_disk_is_refused_and_finished_stages_are_kept(
    stage: str,
    way: str,
    server: Forks,
    template: Path,
    references: dict[str, Reference],
    small_disk: Path | None,
    tmp_path: Path,
) -> None:
    place = small_disk if way == "disk" and small_disk else tmp_path
    folder = new_folder(template, tmp_path / "here")
    arguments = (*COMMANDS["negsample"], "tracking=none", f"outputs={place / 'outputs'}")
    before = STAGES[: STAGES.index(stage)]
    for made in before:
        results = Path("cache", made)
        shutil.copytree(references["negsample"].outputs / results, place / "outputs" / results)
    ballast = place / "ballast"
    if way == "disk" and small_disk:
        # Leave room for the folder of the run and the start of the stage's files.
        size = shutil.disk_usage(place).free - 40_000
        ballast.write_bytes(bytes(size))
        started = server.start(arguments, folder)
    else:
        # Hydra's own files are larger, so they are left out.
        started = server.start((*arguments, "hydra.output_subdir=null"), folder, largest=9_000)
    status, said = started.wait(), started.out.read_text().strip().split("\n")
    assert status == 2, said
    errors = [line for line in said if line.startswith("error: ")]
    assert len(errors) == 1, said
    # Tokenizing and training check the free space before they start.
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


# A tracking server that stops


def test_a_tracking_server_that_stops_does_not_harm_a_run(
    server: Forks, template: Path, references: dict[str, Reference], tmp_path: Path
) -> None:
    wanted = references["negsample"]
    folder = new_folder(template, tmp_path / "here")
    shutil.copy(template / "mlflow.db", tmp_path / "server.db")
    port = free_port()
    arguments = (*COMMANDS["negsample"], f"tracking.uri=http://127.0.0.1:{port}")
    command = ["server", "--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}"]
    command += ["--artifacts-destination", str(tmp_path / "artifacts")]

    def start_training(outputs: str, max_wait: float | None = None) -> Forked:
        started = server.start((*arguments, f"outputs={outputs}"), folder, max_wait=max_wait)
        while running(started.number) and not list((folder / outputs).glob("checkpoints/*/0*")):
            time.sleep(0.001)
        assert running(started.number), started.out.read_text()
        return started

    with mlflow_server(command, tmp_path, port) as tracking_server:
        # The server stops until the training has ended: everything is recorded afterwards.
        started = start_training("one")
        tracking_server.send(signal.SIGSTOP)
        while running(started.number) and not entries_in(folder / "one", "train"):
            time.sleep(0.01)
        tracking_server.send(signal.SIGCONT)
        assert started.wait() == 0, started.out.read_text()
        assert "warning" not in started.out.read_text()
        check_tracked(folder, outcome_in(folder / "one")[1], tmp_path / "server.db")
        # The server stops for good: the run still ends, and says how to record it later.
        started = start_training("two", max_wait=3.0)
        tracking_server.send(signal.SIGKILL)
        tracking_server.process.wait()
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
    with mlflow_server(command, tmp_path, port):
        started = server.start((*arguments, "outputs=two"), folder)
        assert started.wait() == 0, started.out.read_text()
    check_tracked(folder, wanted.history, tmp_path / "server.db")
