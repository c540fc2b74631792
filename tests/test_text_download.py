"""Test `download`: a file is downloaded once, completely or not at all."""

import gzip
import hashlib
import random
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.webserver import Site, serving
from w2v.errors import InputError
from w2v.text.download import download

ROOT = Path(__file__).parents[1]
CONTENT = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER_SHA256 = "the file received has another SHA-256 and was not kept"


def refusal(site: Site, path: Path, sha256: str = SHA256) -> str:
    with pytest.raises(InputError) as refused:
        download(site.url, sha256, path)
    return str(refused.value)


def files_in(folder: Path) -> set[str]:
    """Return the names of the files in a folder, except lock files."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


@pytest.mark.parametrize("has_length", [True, False])
def test_a_file_is_downloaded_once_and_progress_is_shown(tmp_path: Path, has_length: bool) -> None:
    path, shown = tmp_path / "new" / "a.bin", list[tuple[str, int, int | None]]()
    with serving(Site(CONTENT, has_length=has_length)) as site:
        for _ in range(2):
            download(site.url, SHA256, path, lambda *progress: shown.append(progress))
    assert path.read_bytes() == CONTENT
    assert site.requests == 1
    assert files_in(path.parent) == {"a.bin"}
    assert {name for name, _, _ in shown} == {"a.bin"}
    assert {total for _, _, total in shown} == {300_000 if has_length else None}
    done = [done for _, done, _ in shown]
    assert done == sorted(done)
    assert len(set(done)) > 3
    assert done[-1] == 300_000 or not has_length


def test_a_downloaded_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    with serving(Site(CONTENT)) as site:
        download(site.url, SHA256, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize(
    ("site", "reason"),
    [
        (Site(CONTENT, status=403), "HTTP status 403"),
        (Site(CONTENT, status=503), "HTTP status 503"),
        # urllib3 before 2.0 accepts a file shorter than its Content-Length; its hash is wrong.
        (Site(CONTENT, cut=100_000), f"ChunkedEncodingError|{OTHER_SHA256}"),
        (Site(CONTENT[1:]), OTHER_SHA256),
        (Site(CONTENT, cut=100_000, has_length=False), OTHER_SHA256),
    ],
)
def test_a_failed_download_changes_nothing(tmp_path: Path, site: Site, reason: str) -> None:
    path = tmp_path / "a.bin"
    with serving(site):
        assert refusal(site, path) in reason.split("|")
        assert files_in(tmp_path) == set()
        path.write_bytes(b"damaged")
        assert refusal(site, path) in reason.split("|")
    assert path.read_bytes() == b"damaged"
    assert files_in(tmp_path) == {"a.bin"}
    with serving(Site(CONTENT)) as working:
        download(working.url, SHA256, path)
    assert path.read_bytes() == CONTENT


def test_a_compressed_file_stays_compressed_if_the_server_calls_it_encoded(tmp_path: Path) -> None:
    compressed = gzip.compress(CONTENT)
    sha256 = hashlib.sha256(compressed).hexdigest()
    with serving(Site(compressed, headers={"Content-Encoding": "x-gzip"})) as site:
        download(site.url, sha256, tmp_path / "a.gz")
    assert (tmp_path / "a.gz").read_bytes() == compressed


def test_no_network_is_reported(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        site = Site(b"", url=f"http://127.0.0.1:{unused.getsockname()[1]}/a.bin")
        assert refusal(site, tmp_path / "a.bin") == "ConnectionError"


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    site = Site(b"", url="http://127.0.0.1:9/a.bin")
    assert refusal(site, tmp_path / "file" / "a.bin") in ("File exists", "Not a directory")


PROGRAM = """
import sys
from pathlib import Path
import filelock
from w2v.text import download

class ReportedLock(filelock.FileLock):
    def acquire(self, *arguments, **options):
        print("locking", flush=True)
        return super().acquire(*arguments, **options)

filelock.FileLock = ReportedLock
download.download(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
"""


def test_two_processes_download_once(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with serving(Site(CONTENT, gate=threading.Event())) as site:
        command = [sys.executable, "-c", PROGRAM, site.url, SHA256, str(path)]
        processes = [
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)
        ]
        try:
            for process in processes:
                assert process.stdout
                assert process.stdout.readline() == "locking\n"
            assert site.gate
            site.gate.set()
            assert [process.wait(60) for process in processes] == [0, 0]
        finally:
            for process in processes:
                process.kill()
                process.communicate()
    assert site.requests == 1
    assert path.read_bytes() == CONTENT
