"""Test `find_files`: which files a path, a folder or a glob pattern selects."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from w2v.errors import InputError
from w2v.text.paths import find_files

NOBODY = 65534
"""The user ID of an unprivileged user."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with texts, hidden files and outputs of an earlier run, and change to it."""
    for name in (
        *("a.txt", "b/c.txt", ".DS_Store", ".secret.txt", ".git/notes.txt", "b/Thumbs.db"),
        *("outputs/runs/run.log", "outputs/.hydra/config.yaml", "outputs/texts/d.txt"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_hidden_files_and_results_are_left_out_and_counted(folder: Path) -> None:
    found = find_files(["."], [Path("outputs")])
    assert found.paths == ["a.txt", "b/c.txt"]
    assert (found.hidden, found.left_out) == (4, ["outputs"])
    found = find_files([str(folder)], [folder / "b" / ".." / "outputs"])
    assert found.paths == [str(folder / "a.txt"), str(folder / "b" / "c.txt")]


def test_patterns_leave_out_results_too(folder: Path) -> None:
    found = find_files(["**/*.txt"], [folder / "outputs"])
    assert found.paths == ["a.txt", "b/c.txt"]
    assert found.left_out == ["outputs"]
    found = find_files(["b/*"], [folder / "outputs"])
    assert (found.paths, found.hidden, found.left_out) == (["b/c.txt"], 1, [])


def test_folders_with_a_marker_are_left_out(folder: Path) -> None:
    for pattern in (".", "**/*.*"):
        found = find_files([pattern], [folder / "elsewhere"], "runs/run.log")
        assert (found.paths, found.left_out) == (["a.txt", "b/c.txt"], ["outputs"])
    assert find_files(["outputs"], [], "runs/run.log").paths == [
        *("outputs/runs/run.log", "outputs/texts/d.txt")
    ]


@pytest.mark.parametrize(
    ("pattern", "paths", "left_out"),
    [
        ("b/**/*.txt", ["b/c.txt"], ["b/loop"]),
        ("b/**", ["b/c.txt"], ["b/loop"]),
        ("b/**/l*/c.txt", ["b/loop/c.txt"], ["b/loop"]),
        ("b/l*/*.txt", ["b/loop/c.txt"], []),
        ("b/loop/**/*.txt", ["b/loop/c.txt"], ["b/loop/loop"]),
    ],
)
def test_two_stars_do_not_follow_links_to_folders(
    folder: Path, pattern: str, paths: list[str], left_out: list[str]
) -> None:
    (folder / "b" / "loop").symlink_to(".")
    found = find_files([pattern])
    assert (found.paths, found.left_out) == (paths, left_out)
    assert find_files([str(folder / pattern)]).paths == [str(folder / path) for path in paths]


def test_a_file_that_matches_in_several_ways_is_read_once(folder: Path) -> None:
    (folder / "b" / "deep").mkdir()
    (folder / "b" / "deep" / "d.txt").touch()
    assert find_files(["b/**/**/*.txt"]).paths == ["b/c.txt", "b/deep/d.txt"]


def test_a_folder_that_matches_without_its_files_is_left_out(folder: Path) -> None:
    (folder / "b" / "deep").mkdir()
    assert find_files(["b/*"]).left_out == []  # it is empty
    (folder / "b" / "deep" / "d.txt").touch()
    found = find_files(["b/*"])
    assert (found.paths, found.left_out) == (["b/c.txt"], ["b/deep"])
    for pattern in ("b/**", "b/**/*"):
        found = find_files([pattern])
        assert (found.paths, found.left_out) == (["b/c.txt", "b/deep/d.txt"], [])
    with pytest.raises(InputError, match=r"path=b/d\*: no such file \(b/deep is left out\)"):
        find_files(["b/d*"])


def test_what_is_named_itself_is_read(folder: Path) -> None:
    (folder / "linked").symlink_to(folder / "b")
    assert find_files(["linked"]).paths == ["linked/c.txt"]
    named = [".secret.txt", "outputs/runs/run.log"]
    assert find_files(named, [folder / "outputs"]).paths == named
    assert find_files([".git", "outputs/texts"], [Path("outputs")]).paths == [
        *(".git/notes.txt", "outputs/texts/d.txt")
    ]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("outputs", "no such file (outputs is left out)"),
        ("l*/**/*.txt", "no such file (linked/b is left out)"),
        ("outputs/runs/**/*.txt", "no such file"),
        ("empty", "no such file (1 hidden files and folders are skipped)"),
        ("*.log", "no such file"),
    ],
)
def test_nothing_found_is_refused_with_what_was_skipped(
    folder: Path, path: str, reason: str
) -> None:
    (folder / "linked").mkdir()
    (folder / "linked" / "b").symlink_to(folder)
    (folder / "empty").mkdir()
    (folder / "empty" / ".keep").touch()
    with pytest.raises(InputError) as refusal:
        find_files([path], [Path("outputs")])
    assert str(refusal.value) == (f"path={path}: {reason}; give a path, a folder, a glob or a list")


def test_a_pipe_is_named_as_one(folder: Path) -> None:
    os.mkfifo("pipe")
    with pytest.raises(InputError, match="path=pipe is a pipe or a device, which cannot be read"):
        find_files(["pipe"])
    assert find_files(["."]).paths.count("pipe") == 0


def test_broken_links_and_pipes_are_counted(folder: Path) -> None:
    os.mkfifo("b/pipe")
    (folder / "b" / "broken.txt").symlink_to("nowhere.txt")
    (folder / "b" / "linked.txt").symlink_to(folder / "a.txt")
    (folder / "c").symlink_to(folder / "b")
    found = find_files(["."], [folder / "outputs"])
    assert found.paths == ["a.txt", "b/c.txt", "b/linked.txt"]
    assert (found.no_files, found.left_out) == (2, ["c", "outputs"])
    assert find_files(["b/*"]).no_files == 2
    (folder / "d").mkdir()
    (folder / "d" / "broken.txt").symlink_to("nowhere.txt")
    with pytest.raises(InputError, match="1 broken links, pipes or devices are skipped"):
        find_files(["d"])


@contextmanager
def ordinary_user(*folders: Path) -> Iterator[None]:
    """Run a ``with`` block as an ordinary user, because root may read every folder.

    If the tests run as root, the user is `NOBODY`, who becomes the owner of `folders`.
    """
    if os.geteuid() != 0:
        yield
        return
    for path in folders:
        os.chown(path, NOBODY, -1)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("mode", "path", "line"), [(0, ".", "./b"), (0o400, ".", "b/c.txt"), (0o400, "b/*", "b/*")]
)
def test_a_folder_that_cannot_be_read_is_refused(
    folder: Path, mode: int, path: str, line: str
) -> None:
    (folder / "b").chmod(mode)
    # By a relative path: the folders above may be root's alone.
    with ordinary_user(folder, folder / "b"), pytest.raises(InputError) as refusal:
        find_files([path], [], "cache/tokenize")
    (folder / "b").chmod(0o700)
    assert str(refusal.value) == f"path={line}: cannot be read (Permission denied)"
