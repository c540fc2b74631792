"""The cache by hand: listed, verified, pruned; and what is in use is left alone."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from pipeline.cache.__main__ import in_bytes, items, main
from pipeline.cache.store import fetch, find, lock_of

ROOT = Path(__file__).parents[1]
DAY = 86400


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """Entries of three stages, 1 to 3 days old, of 1 to 3 MB; waste of two kinds; a checkpoint."""
    folder = tmp_path / "outputs"
    for age, stage in enumerate(("tokenize", "vocab", "train"), start=1):
        where = folder / "cache" / stage

        def make(out: Path, size: int = age * 10**6) -> dict[str, int]:
            (out / "data.bin").write_bytes(os.urandom(size))
            return {}

        fetch(where, str(age) * 16, {}, {}, make)
        for path in (where / (str(age) * 16), *(where / (str(age) * 16)).iterdir()):
            os.utime(path, (0, time.time() - age * DAY))
    (folder / "cache" / "train" / ".aaaa.part").mkdir()
    (folder / "cache" / "train" / "bbbb.damaged-1").mkdir()
    (folder / "checkpoints" / "cccc").mkdir(parents=True)
    (folder / "checkpoints" / "cccc" / "a.npy").write_bytes(bytes(4 * 10**6))
    return folder


def left(outputs: Path) -> list[str]:
    return [one.key[:4] for one in items(outputs)]


def command(outputs: Path, *arguments: str) -> int:
    return main(["--outputs", str(outputs), *arguments])


def test_everything_is_listed(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(outputs, "list") == 0
    lines = capsys.readouterr().out.split("\n")
    assert [line.split()[:3] for line in lines[:6]] == [
        ["tokenize", "1" * 16, "1.0"],
        ["vocab", "2" * 16, "2.0"],
        ["train", "aaaa", "0.0"],
        ["train", "3" * 16, "3.0"],
        ["train", "bbbb", "0.0"],
        ["checkpoints", "cccc", "4.0"],
    ]
    assert [line.split()[-1] for line in lines[2:6:2]] == ["part", "damaged"]
    assert lines[6:] == ["6 in all, 10.0 MB", ""]
    assert command(outputs, "list", "--stage", "vocab") == 0
    assert len(capsys.readouterr().out.split("\n")) == 3


def test_damage_is_found(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(outputs, "verify") == 0
    assert "damaged:" not in capsys.readouterr().out
    path = outputs / "cache" / "vocab" / ("2" * 16) / "data.bin"
    data = bytearray(path.read_bytes())
    data[12345] ^= 4
    path.write_bytes(data)
    assert command(outputs, "verify") == 1
    out = capsys.readouterr().out
    assert out.count("damaged: data.bin is not as it was written") == 1
    assert out.count("whole") == 2


def cases() -> Iterator[tuple[str, list[str]]]:
    yield "", ["1111", "2222", "3333", "cccc"]
    yield "--older 2.5", ["1111", "2222", "cccc"]
    yield "--older 1.5d --stage vocab", ["1111", "aaaa", "3333", "bbbb", "cccc"]
    yield "--to 7.1M", ["1111", "2222", "cccc"]
    yield "--to 4.5MB", ["cccc"]
    yield "--to 0", []
    yield "--to 0 --stage checkpoints", ["1111", "2222", "aaaa", "3333", "bbbb"]
    yield "--to 0 --dry-run", ["1111", "2222", "aaaa", "3333", "bbbb", "cccc"]


CASES = dict(cases())


@pytest.mark.parametrize("arguments", CASES)
def test_pruned_by_age_size_and_stage(
    arguments: str, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(outputs, "prune", *arguments.split()) == 0
    assert left(outputs) == CASES[arguments]
    removed = 6 - len(CASES[arguments]) if "dry" not in arguments else 6
    assert capsys.readouterr().out.split("\n")[-2].startswith(f"{removed} ")
    for stage in ("tokenize", "vocab", "train"):
        hidden = {p.suffix for p in (outputs / "cache" / stage).glob(".*")}
        assert hidden <= {".lock", ".part"}


def test_what_a_job_works_on_is_left_alone(outputs: Path) -> None:
    with (
        FileLock(lock_of(outputs / "cache" / "train", "aaaa")),
        FileLock(lock_of(outputs / "cache" / "train", "cccc")),
    ):
        # The lock is of the process, so another one must try.
        command = [sys.executable, str(ROOT / "pipeline" / "cache.py"), "prune", "--to", "0"]
        result = subprocess.run(
            command, cwd=outputs.parent, capture_output=True, text=True, timeout=60
        )
    assert result.returncode == 0, result.stderr
    assert left(outputs) == ["aaaa", "cccc"]


def test_a_link_is_removed_and_not_what_it_names(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept").touch()
    (outputs / "cache" / "train" / ("d" * 16)).symlink_to(tmp_path / "mine")
    for _ in range(2):
        assert command(outputs, "prune", "--older", "0") == 0
    assert left(outputs) == []
    assert (tmp_path / "mine" / "kept").exists()


def test_hostile_names_are_spelt_out(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (outputs / "cache" / "train" / "dd\x1b[31mred").mkdir()
    assert command(outputs, "list") == 0
    assert command(outputs, "verify") == 1
    said = capsys.readouterr().out
    assert "dd\\x1b[31mred" in said
    assert "\x1b" not in said


def test_use_makes_an_entry_young(outputs: Path) -> None:
    assert find(outputs / "cache" / "train", "3" * 16)
    command(outputs, "prune", "--older", "1.5")
    assert left(outputs) == ["1111", "3333", "cccc"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["prune", "--to", "much"], "argument --to: 'much' is no size; give it as 500M or 10G"),
        (["prune", "--to", "9" * 400], "is more than any disk holds"),
        (["prune", "--older", "x"], "argument --older: 'x' is no number of days; give it as 30 "),
        (["--outputs", "/nowhere", "list"], "error: --outputs /nowhere: no such folder"),
    ],
)
def test_bad_arguments(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(arguments)
    except SystemExit as end:  # as argparse ends
        status = int(end.code or 0)
    assert status == 2
    assert line in capsys.readouterr().err


def test_sizes() -> None:
    assert [in_bytes(text) for text in ("7", "2k", "1.5M", "3GB", "1 T")] == [
        7,
        2_000,
        1_500_000,
        3 * 10**9,
        10**12,
    ]
