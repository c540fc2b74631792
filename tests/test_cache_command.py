"""Test ``python pipeline/cache``, which lists, verifies and deletes results and checkpoints."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from pipeline.cache.command import list_items, main, parse_size
from pipeline.cache.store import find, find_or_make, lock_path

ROOT = Path(__file__).parents[1]
DAY = 86400
ABOUT: dict[str, Any] = {"settings": {}, "upstream": {}}


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """Return a folder with a cache and a checkpoint.

    The cache has three results of several sizes and ages, and the folders of a result that was
    found to be damaged and of one that was not finished.
    """
    folder = tmp_path / "outputs"
    for age, stage in enumerate(("tokenize", "vocab", "train"), start=1):
        where = folder / "cache" / stage

        def make(out: Path, size: int = age * 10**6) -> dict[str, int]:
            (out / "data.bin").write_bytes(os.urandom(size))
            return {}

        find_or_make(where, str(age) * 16, ABOUT, make)
        for path in (where / (str(age) * 16), *(where / (str(age) * 16)).iterdir()):
            os.utime(path, (0, time.time() - age * DAY))
    (folder / "cache" / "train" / ".aaaa.part").mkdir()
    (folder / "cache" / "train" / "bbbb.damaged-1").mkdir()
    (folder / "checkpoints" / "cccc").mkdir(parents=True)
    (folder / "checkpoints" / "cccc" / "a.npy").write_bytes(bytes(4 * 10**6))
    return folder


def left(outputs: Path) -> list[str]:
    """Return the first four characters of the keys of all cache entries and checkpoints left."""
    return [item.key[:4] for item in list_items(outputs)]


def command(outputs: Path, *arguments: str) -> int:
    return main(["--outputs", str(outputs), *arguments])


def test_everything_is_listed(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(outputs, "list") == 0
    lines = capsys.readouterr().out.split("\n")
    assert [line.split()[:3] for line in lines[:6]] == [
        ["tokenize", "1" * 16, "1.0"],
        ["train", "aaaa", "0.0"],
        ["train", "3" * 16, "3.0"],
        ["train", "bbbb", "0.0"],
        ["vocab", "2" * 16, "2.0"],
        ["checkpoints", "cccc", "4.0"],
    ]
    assert [line.split()[-1] for line in lines[1:4:2]] == ["part", "damaged"]
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


PRUNED = {
    "": ["1111", "3333", "2222", "cccc"],
    "--older 2.5": ["1111", "2222", "cccc"],
    "--older 1.5d --stage vocab": ["1111", "aaaa", "3333", "bbbb", "cccc"],
    "--to 7.1M": ["1111", "2222", "cccc"],
    "--to 4.5MB": ["cccc"],
    "--to 0": [],
    "--to 0 --stage checkpoints": ["1111", "aaaa", "3333", "bbbb", "2222"],
    "--to 0 --dry-run": ["1111", "aaaa", "3333", "bbbb", "2222", "cccc"],
}
"""The keys that ``prune`` leaves, cut to four characters, by the arguments of ``prune``."""


@pytest.mark.parametrize("arguments", PRUNED)
def test_pruned_by_age_size_and_stage(
    arguments: str, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(outputs, "prune", *arguments.split()) == 0
    assert left(outputs) == PRUNED[arguments]
    removed = 6 - len(PRUNED[arguments]) if "dry" not in arguments else 6
    assert capsys.readouterr().out.split("\n")[-2].startswith(f"{removed} ")
    for stage in ("tokenize", "vocab", "train"):
        hidden = {p.suffix for p in (outputs / "cache" / stage).glob(".*")}
        assert hidden <= {".lock", ".part"}


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_what_is_unfinished_or_damaged_is_removed_before_older_entries(
    outputs: Path, dry: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (".aaaa.part", "bbbb.damaged-1"):
        (outputs / "cache" / "train" / name / "data.bin").write_bytes(bytes(10**6))
    assert command(outputs, "prune", "--to", "10.1M", *dry) == 0
    removed = capsys.readouterr().out.split("\n")
    assert sorted(line.split()[1] for line in removed[:-2]) == ["aaaa", "bbbb"]
    assert left(outputs) == [
        "1111",
        *["aaaa"] * len(dry),
        "3333",
        *["bbbb"] * len(dry),
        "2222",
        "cccc",
    ]


def test_what_a_job_works_on_is_kept(outputs: Path) -> None:
    with (
        FileLock(lock_path(outputs / "cache" / "train", "aaaa")),
        FileLock(lock_path(outputs / "cache" / "train", "cccc")),
    ):
        # This process holds the locks, so another one must try to take them.
        command = [sys.executable, str(ROOT / "pipeline" / "cache"), "prune", "--to", "0"]
        result = subprocess.run(
            command, cwd=outputs.parent, capture_output=True, text=True, timeout=60
        )
    assert result.returncode == 0, result.stderr
    assert left(outputs) == ["aaaa", "cccc"]


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_what_a_run_has_found_is_kept_until_the_run_is_killed(
    outputs: Path, dry: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    program = (
        "import sys; from pathlib import Path; from w2v.files import in_use\n"
        "with in_use(Path(sys.argv[1])), in_use(Path(sys.argv[1])): print(flush=True); input()"
    )
    manifest = outputs / "cache" / "vocab" / ("2" * 16) / "manifest.json"
    given = [sys.executable, "-c", program, str(manifest)]
    with subprocess.Popen(given, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        run.stdout.readline()
        assert command(outputs, "prune", "--to", "0", *dry) == 0
        assert "2" * 16 not in capsys.readouterr().out
        assert dry or left(outputs) == ["2222"]
        run.kill()
    assert command(outputs, "prune", "--to", "0") == 0
    assert left(outputs) == []


def test_a_link_is_removed_and_not_its_target(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept").touch()
    (outputs / "cache" / "train" / ("d" * 16)).symlink_to(tmp_path / "mine")
    for _ in range(2):
        assert command(outputs, "prune", "--older", "0") == 0
    assert left(outputs) == []
    assert (tmp_path / "mine" / "kept").exists()


def test_escape_sequences_in_names_are_shown_as_text(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (outputs / "cache" / "train" / "dd\x1b[31mred").mkdir()
    assert command(outputs, "list") == 0
    assert command(outputs, "verify") == 1
    said = capsys.readouterr().out
    assert "dd\\x1b[31mred" in said
    assert "\x1b" not in said


def test_a_used_entry_counts_as_new(outputs: Path) -> None:
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
def test_bad_arguments_are_refused(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(arguments)
    except SystemExit as end:  # argparse exits
        status = int(end.code or 0)
    assert status == 2
    assert line in capsys.readouterr().err


def test_an_unknown_stage_is_refused(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(outputs, "list", "--stage", "vocabulary") == 2
    assert capsys.readouterr().err == (
        f"error: --stage vocabulary: not in {outputs}; "
        "there is tokenize, train, vocab, checkpoints\n"
    )


def test_sizes() -> None:
    assert [parse_size(text) for text in ("7", "2k", "1.5M", "3GB", "1 T")] == [
        7,
        2_000,
        1_500_000,
        3 * 10**9,
        10**12,
    ]
