"""Files are written whole or not at all, and their content has a digest."""

from pathlib import Path

import pytest

from w2v.errors import InputError
from w2v.files import content_sha256, written_aside


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def write() -> None:
        with written_aside(path) as aside:
            aside.write_text("half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


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
