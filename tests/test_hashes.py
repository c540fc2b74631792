"""Test the database of files' SHA-256, from which the hashes of unchanged files are taken."""

import hashlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from w2v import hashes
from w2v.errors import InputError
from w2v.hashes import FileHashes, content_sha256

LATER = 3_600_000_000_000  # ns; an hour


@contextmanager
def an_hour_later() -> Iterator[None]:
    """Let `time.time_ns` be an hour ahead in a ``with`` block, so that new files appear old."""
    clock = time.time_ns
    with mock.patch.object(time, "time_ns", side_effect=lambda: clock() + LATER):
        yield


def reading(database: Path | None, *paths: Path, trust: bool = True) -> tuple[list[str], int]:
    """Return the SHA-256 that `FileHashes` gives for each file, and how many files it had to read.

    `database` is the SQLite file in which `FileHashes` stores hashes, so that unchanged files need
    not be read again. None: no hashes are stored, and every file is read. `trust` is whether stored
    hashes are used. It is also checked that each SHA-256 is that of the file's content.
    """
    with mock.patch.object(hashlib, "sha256", wraps=hashlib.sha256) as made:
        found = FileHashes(database, trust).sha256(paths)
    expected = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert found == expected
    return found, made.call_count


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_bytes(b"one two three")
    return path


def test_an_unchanged_file_is_read_once(tmp_path: Path, text: Path) -> None:
    database = tmp_path / "new" / "hashes.db"
    with an_hour_later():
        assert reading(database, text, text)[1] == 2  # hashes are saved at the end
        assert reading(database, text)[1] == 0
        text.write_bytes(b"one two thr33")
        assert reading(database, text)[1] == 1
        assert reading(database, text)[1] == 0
        assert reading(database, text, trust=False)[1] == 1
        assert reading(None, text)[1] == 1


def test_a_file_changed_a_moment_ago_is_not_remembered(tmp_path: Path, text: Path) -> None:
    database = tmp_path / "hashes.db"
    assert [reading(database, text)[1] for _ in range(2)] == [1, 1]
    with an_hour_later():
        assert [reading(database, text)[1] for _ in range(2)] == [1, 0]
    os.utime(text, (0, 0))  # ctime cannot be set back
    assert [reading(database, text)[1] for _ in range(2)] == [1, 1]


@pytest.mark.parametrize("how", ["in place", "replaced", "copied over", "another link"])
def test_a_change_that_keeps_size_and_time_is_noticed(tmp_path: Path, text: Path, how: str) -> None:
    database, other = tmp_path / "hashes.db", tmp_path / "other"
    with an_hour_later():
        reading(database, text)
        status = text.stat()
        other.write_bytes(b"one two thr33")
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        if how == "in place":
            with text.open("rb+") as file:
                file.write(b"ONE")
        elif how == "copied over":
            text.write_bytes(other.read_bytes())
        elif how == "replaced":
            other.replace(text)
        else:
            text.unlink()
            text.symlink_to(other)
        os.utime(text, ns=(status.st_atime_ns, status.st_mtime_ns))
        after = text.stat()
        assert (after.st_size, after.st_mtime_ns) == (status.st_size, status.st_mtime_ns)
        assert reading(database, text)[1] == 1


def test_a_file_that_changes_while_it_is_read_is_not_remembered(
    tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "READ_BYTES", 4)
    database = tmp_path / "hashes.db"
    sizes: list[int] = []

    def grow(size: int) -> None:
        sizes.append(size)
        if len(sizes) == 1:
            with text.open("ab") as file:
                file.write(b" four")

    with an_hour_later():
        found = FileHashes(database).sha256([text], grow)
        assert found == [hashlib.sha256(b"one two three four").hexdigest()]
        assert sum(sizes) == 18
        assert [reading(database, text)[1] for _ in range(2)] == [1, 0]


def test_content_that_changed_behind_an_equal_stamp_is_told(
    tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "stamp", lambda status: "always the same")
    database = tmp_path / "hashes.db"
    with an_hour_later():
        reading(database, text)
        text.write_bytes(b"one two four")
        with pytest.warns(UserWarning, match=r"text\.txt: its content is not what was read"):
            assert reading(database, text, trust=False)[1] == 1
        assert reading(database, text)[1] == 0  # the new content is remembered


def test_names_of_any_bytes_and_relative_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "hashes.db"
    name = os.fsdecode(b"t\xe4xt")
    (tmp_path / name).write_text("a")
    monkeypatch.chdir(tmp_path)
    with an_hour_later():
        assert reading(database, Path(name))[1] == 1
        assert reading(database, tmp_path / name)[1] == 0


@pytest.mark.parametrize("damage", ["text", "folder", "other table"])
def test_a_damaged_database_costs_a_warning(tmp_path: Path, text: Path, damage: str) -> None:
    database = tmp_path / "hashes.db"
    with an_hour_later():
        reading(database, text)
    if damage == "text":
        database.write_bytes(b"no database " * 1000)
    else:
        database.unlink()
    if damage == "folder":
        database.mkdir()
    if damage == "other table":
        with sqlite3.connect(database) as connection:
            connection.execute("create table files (path text)")
        connection.close()
    with an_hour_later(), pytest.warns(UserWarning, match=r"hashes\.db: cannot be used") as told:
        assert reading(database, text)[1] == 1
    assert len(told) == 1
    if damage == "text":  # it was removed
        with an_hour_later():
            assert [reading(database, text)[1] for _ in range(2)] == [1, 0]


def test_a_folder_that_cannot_be_written_is_no_fault(tmp_path: Path, text: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="cannot be used"):
        assert reading(tmp_path / "file" / "hashes.db", text)[1] == 1


def test_progress_counts_remembered_files_at_once(tmp_path: Path, text: Path) -> None:
    sizes: list[int] = []
    with an_hour_later():
        for _ in range(2):
            FileHashes(tmp_path / "hashes.db").sha256([text], sizes.append)
    assert sizes == [13, 13]


SCRIPT = """
import sys, time
from pathlib import Path
from unittest import mock
from w2v import hashes
clock = time.time_ns
with mock.patch.object(time, "time_ns", lambda: clock() + 10**12):
    for _ in range(30):
        hashes.FileHashes(Path(sys.argv[1])).sha256(sys.argv[2:])
"""


def test_processes_share_the_database(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.txt" for number in range(20)]
    for path in paths:
        path.write_text(path.name)
    database = tmp_path / "hashes.db"
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(database)]
    started = [
        subprocess.Popen([*command, *map(str, paths[first::2] + paths)], stderr=subprocess.PIPE)
        for first in (0, 1)
    ]
    for process in started:
        _, error = process.communicate(timeout=120)
        assert (process.returncode, error) == (0, b"")
    with an_hour_later():
        assert reading(database, *paths)[1] == 0


def test_the_digest_of_a_folder_changes_with_content_and_names(tmp_path: Path) -> None:
    folder, file = tmp_path / "a", tmp_path / "a" / "x.txt"
    folder.mkdir()
    file.write_text("one")
    digests = {content_sha256([folder]), content_sha256([file])}
    file.write_text("two")
    digests.add(content_sha256([folder]))
    file.rename(folder / "y.txt")
    digests.add(content_sha256([folder]))
    assert len(digests) == 4
    with pytest.raises(InputError, match="nowhere: cannot be read"):
        content_sha256([tmp_path / "nowhere"])
