"""Test the standard benchmark files: downloaded once, checked by SHA-256, and kept."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.commands import SMALL, run, summary_of, write_text
from tests.test_config import settled
from w2v import InputError, evaluate
from w2v.evaluate import datasets
from w2v.evaluate.datasets import STANDARD, about, standard_path
from w2v.evaluate.metrics import check_benchmarks

PAIRS = [("cat", "dog"), ("king", "queen"), ("mat", "rug"), ("paris", "london"), ("cat", "king")]
PAIRS += [("dog", "queen"), ("france", "england"), ("mat", "king"), ("rug", "things"), ("the", "a")]
PAIRS += [("spoke", "sat"), ("animals", "things")]


def content_of(name: str) -> bytes:
    """Return the content of an invented file for the benchmark `name`: word pairs with scores.

    Each line has two words and their score. All benchmarks have the same pairs. The length of
    `name` determines the scores, and the separator: a tab if the length is odd, otherwise a space.
    """
    separator = "\t" if len(name) % 2 else " "
    rows = [(*pair, f"{(i * 7 + len(name)) % 12}.5") for i, pair in enumerate(PAIRS)]
    return "".join(separator.join(row) + "\n" for row in rows).encode()


@contextmanager
def collection() -> Iterator[tuple[str, list[str]]]:
    """Serve invented benchmark files by HTTP; yield the address and the list of requested files."""
    asked: list[str] = []
    files = {f"/{one.file}": content_of(name) for name, one in STANDARD.items()}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path.removeprefix("/"))
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the invented benchmark files of `collection` pass the check of downloaded files.

    A downloaded benchmark must have the SHA-256 that `STANDARD` lists for it. During the test, each
    SHA-256 in this list is replaced by that of the invented file.
    """
    for name, one in list(STANDARD.items()):
        digest = hashlib.sha256(content_of(name)).hexdigest()
        monkeypatch.setitem(STANDARD, name, one._replace(sha256=digest))


def test_the_sets_are_those_of_the_list() -> None:
    assert len(STANDARD) == 11
    assert all(len(one.sha256) == 64 and one.file.startswith("EN-") for one in STANDARD.values())
    assert all(one.reference and one.licence for one in STANDARD.values())
    sets = settled("evaluate=standard").evaluate.similarity
    assert [name for name, path in sets.items() if path == "standard"] == [*STANDARD]
    assert sets["wordsim353"] == sets["simlex999"] == "gensim"
    assert settled("outputs=a").evaluate.sets == "a/benchmarks"


@pytest.mark.usefixtures("checked")
def test_a_set_is_fetched_once_and_kept(tmp_path: Path) -> None:
    with collection() as (url, asked):
        for _ in range(2):
            path = standard_path("men", tmp_path / "sets", url)
    assert asked == ["EN-MEN-TR-3k.txt"]
    assert path == tmp_path / "sets" / "EN-MEN-TR-3k.txt"
    assert [pair[:2] for pair in evaluate.load_pairs(path)] == PAIRS
    assert standard_path("men", tmp_path / "sets", url) == path  # without a server


def test_a_set_with_another_checksum_is_not_kept(tmp_path: Path) -> None:
    with collection() as (url, _), pytest.raises(InputError, match="another SHA-256"):
        standard_path("men", tmp_path, url)
    assert not list(tmp_path.glob("EN-*"))


def test_an_unknown_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="standard: no such set; there are men, mturk771"):
        standard_path("mine", tmp_path)
    config = settled("evaluate.similarity.mine=standard", f"outputs={tmp_path}")
    with pytest.raises(InputError, match=r"similarity.mine=standard: no such set"):
        check_benchmarks(config.evaluate)


def test_without_a_network_one_line_says_what_to_get(tmp_path: Path) -> None:
    write_text(tmp_path)
    url = "http://127.0.0.1:9"  # where no server is
    done = run(*SMALL, "evaluate=standard", f"evaluate.sets_url={url}", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: evaluate.similarity.men=standard: {url}/EN-MEN-TR-3k.txt cannot be downloaded "
        "(ConnectionError); get this file elsewhere and put it into outputs/benchmarks, or give "
        "its path in place of standard\n"
    )
    assert not (tmp_path / "outputs" / "cache").exists()


@pytest.mark.long
@pytest.mark.usefixtures("checked")
def test_a_run_has_every_set_their_mean_and_their_sources(tmp_path: Path) -> None:
    write_text(tmp_path)
    arguments = (*SMALL, "evaluate=standard", "tracking=none", "evaluate.analogy={google: null}")
    with collection() as (url, asked):
        done = run(*arguments, f"evaluate.sets_url={url}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert sorted(asked) == sorted(one.file for one in STANDARD.values())
    scores = summary_of(tmp_path)["evaluate"]["similarity"]
    assert {*scores} == {"wordsim353", "simlex999", *STANDARD, "mean"}
    assert scores["men"]["pairs"] == len(PAIRS)
    mean = scores["mean"]
    assert mean["pairs"] == len(PAIRS)  # the same pairs in every set
    assert mean["sets"] == 11
    low, high = mean["ci95"]
    assert low < mean["spearman"] < high
    assert "mean  Spearman" in done.stdout
    (page,) = tmp_path.glob("outputs/runs/*/*/report.html")
    text = page.read_text()
    assert "Bruni, Tran, Baroni (2014)" in text
    assert "Where the benchmarks are from" in text
    # The same again needs no server, and takes the scores from the cache.
    again = run(*arguments, "evaluate.sets_url=http://127.0.0.1:9/", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert summary_of(tmp_path)["stages"]["evaluate"]["cached"]


def test_a_file_of_the_users_is_not_taken_for_a_known_set() -> None:
    assert about("men", "mine.txt") is None
    assert about("google", "gensim") is datasets.SHIPPED["google"]
    assert about("men", "standard") is STANDARD["men"]
    assert about("mine", "gensim") is None
