"""Test the cache of results: its keys, and that no incomplete result is used.

After errors, killed processes, damage, or work by several processes at once, a result in the
cache must be complete or absent.
"""

import dataclasses
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cache.store import Entry, find, find_or_make, stage_key

ROOT = Path(__file__).parents[1]

steady = settings(derandomize=True, deadline=None, max_examples=20)

SETTINGS: dict[str, Any] = {"size": 3, "name": "naïve"}
UPSTREAM = {"tokenize": "0123456789abcdef"}
KEY = stage_key("stage", "v1", SETTINGS, UPSTREAM)
ABOUT = {"settings": SETTINGS, "upstream": UPSTREAM}


class Maker:
    """A function that writes the files of a cache entry, and counts its calls."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, out: Path) -> dict[str, Any]:
        assert list(out.iterdir()) == []
        self.times += 1
        (out / "data.bin").write_bytes(b"some data" * 1000)
        (out / "plots").mkdir()
        (out / "plots" / "loss.txt").write_text("plötted")
        return {"size": 9000, "made": self.times, "nothing": None}


def get(folder: Path, make: Callable[[Path], dict[str, Any]], **more: Any) -> Entry:
    return find_or_make(folder, KEY, ABOUT, make, **more)


def names(folder: Path) -> list[str]:
    """Return the names of the files and folders in a folder, except lock files."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


# Keys


def test_a_key_depends_on_everything_that_it_hashes() -> None:
    keys = [
        stage_key("train", "v1", {"a": 1, "b": [1, 2]}, {"vocab": "x"}),
        stage_key("vocab", "v1", {"a": 1, "b": [1, 2]}, {"vocab": "x"}),
        stage_key("train", "v2", {"a": 1, "b": [1, 2]}, {"vocab": "x"}),
        stage_key("train", "v1", {"a": 2, "b": [1, 2]}, {"vocab": "x"}),
        stage_key("train", "v1", {"a": 1, "b": [2, 1]}, {"vocab": "x"}),
        stage_key("train", "v1", {"a": 1, "b": [1, 2]}, {"vocab": "y"}),
        stage_key("train", "v1", {"a": 1, "b": [1, 2]}, {"tokenize": "x"}),
        stage_key("train", "v1", {"a": 1, "b": [1, 2]}, {}),
        stage_key("train", "v1", {"a": None, "b": [1, 2]}, {"vocab": "x"}),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 16 and set(key) <= set("0123456789abcdef") for key in keys)


def test_a_key_does_not_depend_on_the_order_of_settings() -> None:
    one = stage_key("train", "v1", {"a": 1, "b": {"c": 1, "d": 2}}, {"x": "1", "y": "2"})
    other = stage_key("train", "v1", {"b": {"d": 2, "c": 1}, "a": 1}, {"y": "2", "x": "1"})
    assert one == other


def test_keys_do_not_change_between_versions() -> None:
    text = (
        '{"format": 2, "settings": {"é": 0.5}, "stage": "s", "upstream": {"t": "k"}, '
        '"version": "v1"}'
    )
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    assert stage_key("s", "v1", {"é": 0.5}, {"t": "k"}) == sha256[:16]


def test_nan_is_refused_in_a_key() -> None:
    with pytest.raises(ValueError, match="JSON"):
        stage_key("train", "v1", {"lr": float("nan")}, {})


# Made once


def test_an_entry_is_made_once(tmp_path: Path) -> None:
    make = Maker()
    made = get(tmp_path / "stage", make)
    assert (made.key, made.path, made.cached) == (KEY, tmp_path / "stage" / KEY, False)
    assert made.facts == {"size": 9000, "made": 1, "nothing": None}
    assert made.seconds > 0
    again = get(tmp_path / "stage", make)
    assert make.times == 1
    assert again == dataclasses.replace(made, cached=True)
    assert find(tmp_path / "stage", KEY) == again
    assert (made.path / "data.bin").read_bytes() == b"some data" * 1000
    assert names(tmp_path / "stage") == [KEY]


def test_another_key_is_another_entry(tmp_path: Path) -> None:
    make = Maker()
    get(tmp_path / "stage", make)
    other = find_or_make(tmp_path / "stage", "f" * 16, ABOUT, make)
    assert (make.times, other.cached) == (2, False)
    assert find(tmp_path / "stage", "e" * 16) is None


def test_the_manifest_records_settings_and_files(tmp_path: Path) -> None:
    made = get(tmp_path / "stage", Maker())
    manifest = json.loads((made.path / "manifest.json").read_bytes())
    sha256 = manifest.pop("sha256")
    text = json.dumps(manifest, sort_keys=True, ensure_ascii=False)
    assert sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert manifest == {
        "key": KEY,
        "stage": "stage",
        "settings": SETTINGS,
        "upstream": UPSTREAM,
        "seconds": made.seconds,
        "facts": made.facts,
        "files": {
            "data.bin": {
                "bytes": 9000,
                "sha256": hashlib.sha256(b"some data" * 1000).hexdigest(),
            },
            "plots/loss.txt": {
                "bytes": 8,
                "sha256": hashlib.sha256("plötted".encode()).hexdigest(),
            },
        },
    }


@steady
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=6,
    )
)
def test_facts_come_back_as_they_were(facts: Any) -> None:
    with TemporaryDirectory() as folder:
        made = find_or_make(Path(folder), KEY, ABOUT, lambda out: {"facts": facts})
        assert find(Path(folder), KEY) == dataclasses.replace(made, cached=True)
        assert made.facts == {"facts": facts}


# Complete or absent


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_stage_that_fails_leaves_nothing(tmp_path: Path, fault: type[BaseException]) -> None:
    def fail(out: Path) -> dict[str, Any]:
        (out / "half.bin").write_bytes(b"half")
        raise fault("half way")

    with pytest.raises(fault, match="half way"):
        get(tmp_path / "stage", fail)
    assert names(tmp_path / "stage") == []
    assert not get(tmp_path / "stage", Maker()).cached


@pytest.mark.parametrize("facts", [{"score": float("nan")}, {"path": Path("x")}])
def test_facts_that_are_not_json_leave_nothing(tmp_path: Path, facts: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError), match="JSON"):
        get(tmp_path / "stage", lambda out: facts)
    assert names(tmp_path / "stage") == []


PROGRAM = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from pipeline.cache.store import find_or_make
folder, key, log, task = Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), sys.argv[5]

def make(out):
    with log.open("a") as file:
        file.write("made\\n")
    (out / "first.bin").write_bytes(b"first" * 1000)
    if task == "hang":
        print("half way", flush=True)
        time.sleep(600)
    time.sleep(0.2)
    (out / "second.bin").write_bytes(b"second" * 1000)
    return {"files": 2}

print("ready", flush=True)
sys.stdin.readline()
print(find_or_make(folder, key, {"settings": {}, "upstream": {}}, make).cached, flush=True)
"""


def start(folder: Path, task: str) -> "subprocess.Popen[str]":
    arguments = [str(ROOT), str(folder / "stage"), KEY, str(folder / "log"), task]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_process_killed_half_way_leaves_no_entry(tmp_path: Path) -> None:
    stage = tmp_path / "stage"
    with start(tmp_path, "hang") as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        assert process.stdout.readline() == "half way\n"
        process.kill()
        process.wait()
    assert not (stage / KEY).exists()
    assert find(stage, KEY) is None
    left = [path for path in stage.rglob("*") if path.name == "first.bin"]
    assert left, "the process was killed half way"
    made = get(stage, Maker())  # neither the lock nor the leftovers are in its way
    assert not made.cached
    assert sorted(path.name for path in made.path.iterdir()) == [
        "data.bin",
        "manifest.json",
        "plots",
    ]
    assert names(stage) == [KEY]


def test_four_processes_at_once_do_the_work_once(tmp_path: Path) -> None:
    processes = [start(tmp_path, "make") for _ in range(4)]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    answers = []
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        answers.append(process.communicate(timeout=60)[0])
        assert process.returncode == 0
    assert sorted(answers) == ["False\n", "True\n", "True\n", "True\n"]
    assert (tmp_path / "log").read_text() == "made\n"
    entry = find(tmp_path / "stage", KEY)
    assert entry is not None
    assert (entry.path / "second.bin").read_bytes() == b"second" * 1000
    assert names(tmp_path / "stage") == [KEY]


# Damage


def cut_file(entry: Path) -> None:
    (entry / "data.bin").write_bytes(b"some data" * 999)


def remove_file(entry: Path) -> None:
    (entry / "plots" / "loss.txt").unlink()


def empty_manifest(entry: Path) -> None:
    (entry / "manifest.json").write_bytes(b"")


def remove_manifest(entry: Path) -> None:
    (entry / "manifest.json").unlink()


def cut_manifest(entry: Path) -> None:
    path = entry / "manifest.json"
    path.write_bytes(path.read_bytes()[:-2])


def other_manifest(entry: Path) -> None:
    path = entry / "manifest.json"
    path.write_text(path.read_text().replace(KEY, "f" * 16))


def strange_manifest(entry: Path) -> None:
    (entry / "manifest.json").write_text("[1, 2]")


def poor_manifest(entry: Path) -> None:
    (entry / "manifest.json").write_text(json.dumps({"key": KEY, "files": {}}))


def binary_manifest(entry: Path) -> None:
    (entry / "manifest.json").write_bytes(b"\xff\xfe\xfd")


def deep_manifest(entry: Path) -> None:
    (entry / "manifest.json").write_text("[" * 100_000)


DAMAGES = [
    deep_manifest,
    cut_file,
    remove_file,
    empty_manifest,
    remove_manifest,
    cut_manifest,
    other_manifest,
    strange_manifest,
    poor_manifest,
    binary_manifest,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_quarantined_and_made_again(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    stage, make = tmp_path / "stage", Maker()
    damage(get(stage, make).path)
    assert find(stage, KEY) is None
    reported: list[tuple[Path, Path, str, list[Path]]] = []
    before = {path.name for path in (stage / KEY).iterdir()}
    again = get(stage, make, on_damaged=lambda *paths: reported.append(paths))
    assert (make.times, again.cached) == (2, False)
    [(path, quarantined, reason, later)] = reported
    assert reason
    assert later == []
    assert path == stage / KEY
    assert {path.name for path in quarantined.iterdir()} == before  # nothing is lost
    assert quarantined.name.startswith(f"{KEY}.damaged-")
    assert names(stage) == [KEY, quarantined.name]
    assert get(stage, make) == dataclasses.replace(again, cached=True)
    assert (again.path / "data.bin").read_bytes() == b"some data" * 1000


@pytest.mark.parametrize("content", [b"none data", b"some dat"])
def test_what_was_made_from_damaged_content_is_moved_aside(tmp_path: Path, content: bytes) -> None:
    cache, checkpoint = tmp_path / "cache", tmp_path / "checkpoints" / "7"

    def made(stage: str, key: str, upstream: dict[str, str], **facts: Any) -> Path:
        about = {"settings": {}, "upstream": upstream}
        return find_or_make(cache / stage, key, about, lambda _: facts).path

    one = get(cache / "stage", Maker()).path
    two = made("second", "2" * 16, {"stage": KEY})
    three = made("third", "3" * 16, {"second": "2" * 16})
    four = made("third", "4" * 16, {}, made_from={"third": "3" * 16})
    others = [
        made("second", "5" * 16, {"stage": "f" * 16}),
        made("third", "6" * 16, {"second": KEY}),
    ]
    (one / "data.bin").write_bytes(content * 1000)
    checkpoint.mkdir(parents=True)
    reported: list[Any] = []
    again = get(cache / "stage", Maker(), on_damaged=lambda *a: reported.append(a), verify=True)
    assert not again.cached
    # Files of other sizes are never read, so nothing was made from them.
    later = [two, three, four, checkpoint] if len(content) == len(b"some data") else []
    assert reported[0][3] == later
    assert {path.exists() for path in later} <= {False}
    assert all(path.exists() for path in others)
    moved = [path for path in tmp_path.rglob("*.damaged-*") if path.parent.name != "stage"]
    assert len(moved) == len(later)


def test_a_file_in_the_place_of_an_entry_is_quarantined(tmp_path: Path) -> None:
    stage = tmp_path / "stage"
    stage.mkdir()
    (stage / KEY).write_text("no folder")
    assert not get(stage, Maker()).cached
    assert len(names(stage)) == 2


def test_a_damaged_entry_is_kept_when_it_cannot_be_made_again(tmp_path: Path) -> None:
    stage = tmp_path / "stage"
    cut_file(get(stage, Maker()).path)

    def fail(out: Path) -> dict[str, Any]:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        get(stage, fail)
    [left] = names(stage)
    assert left.startswith(f"{KEY}.damaged-")
    assert find(stage, KEY) is None


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_leftovers_where_an_entry_is_made_are_removed(tmp_path: Path, kind: str) -> None:
    stage, mine = tmp_path / "stage", tmp_path / "mine"
    stage.mkdir()
    mine.mkdir()
    (mine / "kept").touch()
    part = stage / f".{KEY}.part"
    match kind:
        case "file":
            part.touch()
        case "link":
            part.symlink_to(mine)
        case _:
            (part / "left").mkdir(parents=True)
    assert not get(stage, Maker()).cached
    assert names(stage) == [KEY]
    assert (mine / "kept").exists()
