"""Downloads from a server that cuts, lies and stalls; processes that are killed, or two at once."""

import hashlib
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpora import download
from pipeline.corpora.download import Received, fetch
from tests.webserver import Site, serving
from w2v.errors import InputError

ROOT = Path(__file__).parents[1]
CONTENT = random.Random(0).randbytes(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NOW = (0.0, 0.0, 0.0)


def refusal(site: Site, path: Path, digest: str = DIGEST) -> str:
    with pytest.raises(InputError) as refused:
        fetch(site.url, digest, path, pauses=NOW)
    return str(refused.value)


def part_of(path: Path, digest: str = DIGEST) -> Path:
    return path.with_name(f".{path.name}.{digest[:16]}.part")


def left_in(folder: Path) -> set[str]:
    """What lies in a folder, locks aside."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_a_file_is_fetched_once_and_its_progress_told(tmp_path: Path) -> None:
    path, told = tmp_path / "new" / "a.bin", list[Received]()
    with serving(Site(CONTENT)) as site:
        fetch(site.url, DIGEST, path, told.append)
        assert path.read_bytes() == CONTENT
        fetch(site.url, DIGEST, path, told.append)
    assert site.asked == [None]
    assert left_in(path.parent) == {"a.bin"}
    done = [of.done for of in told]
    assert done == sorted(set(done))
    assert (told[-1].name, told[-1].done, told[-1].total) == ("a.bin", 300_000, 300_000)
    assert all(of.speed > 0 for of in told)


def test_a_cut_connection_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    with serving(Site(CONTENT, cuts=[100_000, 0, 50_000])) as site:
        fetch(site.url, DIGEST, tmp_path / "a.bin", pauses=NOW)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert site.asked == [None, "bytes=100000-", "bytes=100000-", "bytes=150000-"]
    assert site.sent == len(CONTENT), "no byte is sent twice"
    assert left_in(tmp_path) == {"a.bin"}


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(0, 400_000), max_size=3), ranges=st.booleans())
def test_whatever_the_cuts(cuts: list[int], ranges: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.bin"
        with serving(Site(CONTENT, cuts=[1, *cuts], ranges=ranges)) as site:
            fetch(site.url, DIGEST, path, pauses=NOW)
        assert path.read_bytes() == CONTENT
        assert left_in(path.parent) == {"a.bin"}


def test_without_ranges_it_begins_again(tmp_path: Path) -> None:
    with serving(Site(CONTENT, cuts=[100_000], ranges=False)) as site:
        fetch(site.url, DIGEST, tmp_path / "a.bin", pauses=NOW)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert site.sent == len(CONTENT) + 100_000


def test_a_server_that_keeps_cutting_is_given_up_and_the_part_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with serving(Site(CONTENT, cuts=[100_000] + [0] * 9)) as site:
        assert refusal(site, path) == (
            "the connection was cut after 100,000 bytes; the same command goes on from there"
        )
    assert len(site.asked) == 1 + len(NOW) + 1
    assert left_in(tmp_path) == {part_of(path).name}
    with serving(Site(CONTENT)) as site:
        fetch(site.url, DIGEST, path)
    assert site.asked == ["bytes=100000-"]
    assert path.read_bytes() == CONTENT


CHILD = """
import sys
from pathlib import Path
from pipeline.corpora.download import fetch
fetch(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
"""


def child(site: Site, path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", CHILD, site.url, DIGEST, str(path)], cwd=ROOT)


def test_a_killed_process_leaves_what_came_for_the_next(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with serving(Site(CONTENT, cuts=[131_072], gate=threading.Event())) as site:
        process = child(site, path)
        while not (part_of(path).exists() and part_of(path).stat().st_size):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
    came = part_of(path).stat().st_size
    assert left_in(tmp_path) == {part_of(path).name}
    with serving(Site(CONTENT)) as site:
        fetch(site.url, DIGEST, path)
    assert site.asked == [f"bytes={came}-"]
    assert path.read_bytes() == CONTENT
    assert left_in(tmp_path) == {"a.bin"}


def test_two_processes_download_once(tmp_path: Path) -> None:
    with serving(Site(CONTENT, cuts=[1000], gate=threading.Event())) as site:
        processes = [child(site, tmp_path / "a.bin") for _ in range(2)]
        while not site.asked:
            time.sleep(0.01)
        time.sleep(0.3)  # time for the second to do harm
        assert site.gate
        site.gate.set()
        assert [process.wait(60) for process in processes] == [0, 0]
    assert site.asked == [None, "bytes=1000-"]
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


WRONG = "what came has another SHA-256; nothing of it is kept"


def test_a_wrong_checksum_is_refused_and_nothing_kept(tmp_path: Path) -> None:
    with serving(Site(CONTENT)) as site:
        assert refusal(site, tmp_path / "a.bin", "0" * 64) == WRONG
    assert left_in(tmp_path) == set()


def test_a_file_that_changed_between_two_parts_is_refused_then_fetched(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    part_of(path).write_bytes(bytes(1000))
    with serving(Site(CONTENT)) as site:
        assert refusal(site, path) == WRONG
        assert left_in(tmp_path) == set()
        fetch(site.url, DIGEST, path)
    assert path.read_bytes() == CONTENT


def test_a_part_of_another_file_is_left_alone(tmp_path: Path) -> None:
    other = part_of(tmp_path / "a.bin", "1" * 64)
    other.write_bytes(b"other")
    with serving(Site(CONTENT)) as site:
        fetch(site.url, DIGEST, tmp_path / "a.bin")
    assert site.asked == [None]
    assert other.read_bytes() == b"other"


def test_a_part_that_is_whole_only_needs_its_name(tmp_path: Path) -> None:
    part_of(tmp_path / "a.bin").write_bytes(CONTENT)
    with serving(Site(CONTENT)) as site:
        fetch(site.url, DIGEST, tmp_path / "a.bin")
    assert site.sent == 0
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_part_that_is_too_long_is_dropped(tmp_path: Path) -> None:
    part_of(tmp_path / "a.bin").write_bytes(CONTENT + b"more")
    with serving(Site(CONTENT)) as site:
        fetch(site.url, DIGEST, tmp_path / "a.bin", pauses=NOW)
    assert site.asked == ["bytes=300004-", None]
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_damaged_file_in_its_place_is_fetched_again_and_stays_until_then(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"damaged")
    with serving(Site(CONTENT, status=503)) as site:
        assert refusal(site, path) == "HTTP status 503"
    assert path.read_bytes() == b"damaged"
    with serving(Site(CONTENT)) as site:
        fetch(site.url, DIGEST, path)
    assert path.read_bytes() == CONTENT


def test_a_packed_file_that_the_server_calls_a_packed_reply_stays_packed(tmp_path: Path) -> None:
    import gzip

    packed = gzip.compress(CONTENT)
    digest = hashlib.sha256(packed).hexdigest()
    with serving(Site(packed, headers={"Content-Encoding": "x-gzip"})) as site:
        fetch(site.url, digest, tmp_path / "a.gz")
    assert (tmp_path / "a.gz").read_bytes() == packed


def test_an_endless_reply_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "LIMIT", 1 << 20)
    with serving(Site(CONTENT, endless=True)) as site:
        assert refusal(site, tmp_path / "a.bin") == "more than 1 MiB came"
    assert left_in(tmp_path) == set()


@pytest.mark.parametrize("status", [403, 404, 416, 500])
def test_a_status_is_named(tmp_path: Path, status: int) -> None:
    with serving(Site(CONTENT, status=status)) as site:
        assert refusal(site, tmp_path / "a.bin") == f"HTTP status {status}"
    assert len(site.asked) == 1
    assert left_in(tmp_path) == set()


def test_no_network_is_said_at_once(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a.bin"
        with pytest.raises(InputError, match=r"^ConnectionError$"):
            fetch(url, DIGEST, tmp_path / "a.bin", pauses=(99, 99, 99))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"^(File exists|Not a directory)$"):
        fetch("http://127.0.0.1:9/a.bin", DIGEST, tmp_path / "file" / "a.bin")
