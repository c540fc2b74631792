"""Documents in fields of JSON lines and Parquet, and one line for each record that is bad."""

import functools
import gzip
import http.server
import json
import threading
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import smart_open

from pipeline.config.settings import FilesCorpus
from pipeline.corpora.sources import make_source
from w2v.errors import InputError
from w2v.text import sources
from w2v.text.sources import Source

TEXTS = ["One, naïve.", "two\nlines", "", "last \U0001f600"]
FILLED = [text for text in TEXTS if text]


def source(
    path: Path | str | list[str], field: str | None = "text", errors: str = "strict"
) -> Source:
    paths = path if isinstance(path, list) else str(path)
    return make_source(FilesCorpus(path=paths, field=field, errors=errors), Path("outputs"))


def refusal(path: Path, field: str | None = "text") -> str:
    with pytest.raises(InputError) as caught:
        list(source(path, field).documents())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def lines_of(texts: list[Any], escape: bool = True) -> bytes:
    rows = [json.dumps({"id": 1, "text": text}, ensure_ascii=escape) for text in texts]
    return "\n".join(rows).encode()


def save_parquet(path: Path, texts: list[Any], name: str = "text", **options: Any) -> None:
    table = pyarrow.table({"id": list(range(len(texts))), name: texts})
    pyarrow.parquet.write_table(table, path, **options)


@pytest.mark.parametrize(
    "suffix", [".jsonl", ".ndjson", ".json", ".txt", ".jsonl.gz", ".jsonl.zst"]
)
@pytest.mark.parametrize("size", [3, 1 << 20])
def test_json_lines_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, size: int
) -> None:
    monkeypatch.setattr(sources, "READ_BYTES", size)
    path = tmp_path / f"text{suffix}"
    with smart_open.open(str(path), "wb") as file:
        file.write(lines_of([*TEXTS, None], escape=False) + b"\n\n")
    read = source(path)
    assert list(read.documents()) == FILLED
    blocks = list(sources.read_blocks(read, None, None))
    assert [len(block.stops) for block in blocks] == [5]  # empty documents are counted too
    assert blocks[-1].done == 1
    assert next(sources.read_blocks(read, None, 1)).data.decode() == TEXTS[0]


def test_parquet_with_many_row_groups_is_read(tmp_path: Path) -> None:
    path = tmp_path / "text.parquet"
    save_parquet(path, [*TEXTS, None] * 600, row_group_size=1000)
    read = source(path)
    assert list(read.documents()) == FILLED * 600
    save_parquet(path, pyarrow.array(TEXTS, pyarrow.large_string()))
    assert list(read.documents()) == FILLED


def test_the_fingerprint_depends_on_the_field(tmp_path: Path) -> None:
    path = tmp_path / "text.jsonl"
    path.write_bytes(lines_of(TEXTS))
    prints = [source(path, field).fingerprint() for field in ("text", "id")]
    path.write_bytes(lines_of(TEXTS[1:]))
    prints.append(source(path).fingerprint())
    assert len({str(one) for one in prints}) == 3


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            b'{"text": "cut',
            "line 2 is not JSON (Unterminated string starting at: line 1 column 10 (char 9))",
        ),
        (b"[" * 100_000, "line 2 is not JSON (maximum recursion depth exceeded"),
        (b'["a"]', "line 2 is not a JSON object with fields"),
        (
            b'{"body": "a", "id": 1}',
            "line 2 has no field 'text'; field must name one of 'body', 'id'",
        ),
        (
            b"{}",
            "line 2 has no field 'text'; field must name one of its fields, and it has none",
        ),
        (b'{"text": ["a"]}', "line 2: the field 'text' holds list, not text"),
        (
            rb'{"text": "\ud83d"}',
            "line 2 holds half of a surrogate pair, which is no text; "
            "set corpus.errors=replace or ignore",
        ),
    ],
)
def test_bad_lines_are_refused(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "text.jsonl"
    path.write_bytes(b'{"text": "fine"}\n' + line)
    found = refusal(path)
    assert (
        found.startswith(f"{path}: {reason}")
        if "recursion" in reason
        else found == f"{path}: {reason}"
    )


def test_bytes_that_are_not_utf8_are_refused_replaced_or_ignored(tmp_path: Path) -> None:
    path = tmp_path / "text.jsonl"
    path.write_bytes(b'{"text": "caf\xe9"}\n' + rb'{"text": "a\ud83db"}')
    assert refusal(path) == (
        f"{path}: byte 13 (0xe9) is not UTF-8; convert the file to UTF-8, or set "
        "errors=replace or errors=ignore"
    )
    assert list(source(path, errors="replace").documents()) == ["caf\ufffd", "a\ufffdb"]
    assert list(source(path, errors="ignore").documents()) == ["caf", "ab"]


def test_bad_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.parquet"
    save_parquet(path, TEXTS, "body")
    assert refusal(path) == f"{path}: no field 'text'; field must name one of 'id', 'body'"
    assert refusal(path, "id") == f"{path}: the field 'id' holds int64, not text"
    path.write_bytes(path.read_bytes()[:-3])
    assert refusal(path).startswith(f"{path}: cannot be read as Parquet (")


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet", "a.NDJSON"])
def test_a_file_of_records_needs_the_name_of_a_field(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    with pytest.raises(InputError) as refusal:
        source(path, None)
    assert str(refusal.value) == (
        f"{path}: its text is in a field; name it by field, as in field=text"
    )


def test_files_are_read_over_http(tmp_path: Path) -> None:
    (tmp_path / "text.jsonl.gz").write_bytes(gzip.compress(lines_of(TEXTS)))
    (tmp_path / "text.txt").write_text("one\ntwo\n")
    save_parquet(tmp_path / "text.parquet", TEXTS)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site = f"http://127.0.0.1:{server.server_port}"
        compressed = source(f"{site}/text.jsonl.gz")
        assert list(compressed.documents()) == FILLED
        assert compressed.fingerprint() == source(tmp_path / "text.jsonl.gz").fingerprint()
        assert [t.strip() for t in source(f"{site}/text.txt", None).documents()] == ["one", "two"]
        with pytest.raises(InputError, match="server ignored the range request"):
            list(source(f"{site}/text.parquet").documents())  # Parquet is read from its end
        with pytest.raises(InputError, match=r"/none.txt: cannot be read \(404"):
            list(source(f"{site}/none.txt", None).documents())
        server.shutdown()
