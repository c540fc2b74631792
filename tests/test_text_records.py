"""Test reading documents from a field of JSON, CSV, TSV or Parquet records."""

import csv
import functools
import gzip
import http.server
import json
import math
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import smart_open

from tests.webserver import Site, serving
from w2v.errors import InputError
from w2v.settings import SettingError
from w2v.text import sources
from w2v.text.corpora import FilesCorpus
from w2v.text.records import Records
from w2v.text.remote import open_decompressed
from w2v.text.sources import Files, Source

TEXTS = ["One, naïve.", "two\nlines", "", "last \U0001f600"]
FILLED = [text for text in TEXTS if text]


def source(
    path: Path | str | list[str], field: str | None = "text", errors: str = "strict"
) -> Source:
    paths = path if isinstance(path, list) else str(path)
    return FilesCorpus(path=paths, field=field, errors=errors).source(Path("outputs"))


def refusal(path: Path, field: str | None = "text") -> str:
    with pytest.raises(InputError) as caught:
        list(source(path, field).documents())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def lines_of(texts: list[Any], escape: bool = True) -> bytes:
    rows = [json.dumps({"id": 1, "text": text}, ensure_ascii=escape) for text in texts]
    return "\n".join(rows).encode()


@contextmanager
def running(server: http.server.HTTPServer) -> Iterator[http.server.HTTPServer]:
    """Let an HTTP server answer requests during a ``with`` block; yield the server."""
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


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
    for kind in (pyarrow.large_string(), pyarrow.string_view()):
        save_parquet(path, pyarrow.array(TEXTS, kind))
        assert list(read.documents()) == FILLED
    save_parquet(path, pyarrow.array([["a", "b"], ["c", "d"]], pyarrow.list_(pyarrow.string(), 2)))
    assert list(read.documents()) == ["a b", "c d"]


@pytest.mark.parametrize("has_length", [True, False])
def test_parquet_is_read_from_a_server_that_sends_whole_files_only(
    tmp_path: Path, has_length: bool
) -> None:
    rows = [f"{number} {math.sin(number)}" for number in range(20_000)]
    save_parquet(tmp_path / "text.parquet", rows)
    with serving(Site((tmp_path / "text.parquet").read_bytes(), has_length=has_length)) as site:
        files = Files([f"{site.url}/text.parquet"], open=open_decompressed)
        assert list(Records(files, "text").documents()) == rows


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_parquet_is_read(tmp_path: Path, suffix: str) -> None:
    save_parquet(tmp_path / "a.parquet", TEXTS)
    path = tmp_path / f"a.parquet{suffix}"
    with smart_open.open(str(path), "wb") as file:
        file.write((tmp_path / "a.parquet").read_bytes())
    (block,) = sources.read_blocks(source(path), None, None)
    assert ([*sources.document_texts(block)], block.done) == (TEXTS, 1)
    assert "the fields are 'id', 'text'" in refusal(path, None)
    path.write_bytes(path.read_bytes()[:-9])
    assert refusal(path).startswith(f"{path}: cannot be read as Parquet (")


def test_the_fingerprint_depends_on_the_field(tmp_path: Path) -> None:
    path = tmp_path / "text.jsonl"
    path.write_bytes(lines_of(TEXTS))
    prints = [Records(Files([str(path)]), field).fingerprint() for field in ("text", "id")]
    path.write_bytes(lines_of(TEXTS[1:]))
    prints.append(source(path).fingerprint())
    path.rename(tmp_path / "text.csv")  # another reader is used for this extension
    prints.append(Records(Files([str(tmp_path / "text.csv")]), "text").fingerprint())
    assert len({str(one) for one in prints}) == 4


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
        (b'{"text": 5}', "line 2: the field 'text' holds int, not text"),
        (b'{"text": ["a", 5]}', "line 2: the field 'text' holds list, other than tokens"),
        (
            rb'{"text": "\ud83d"}',
            "line 2 holds half of a surrogate pair, which is no text; "
            "set errors=replace or errors=ignore",
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
        f"{path}: byte 13 (0xe9) is not UTF-8; name the encoding, as in "
        "encoding=cp1252, or set errors=replace or errors=ignore"
    )
    assert list(source(path, errors="replace").documents()) == ["caf\ufffd", "a\ufffdb"]
    assert list(source(path, errors="ignore").documents()) == ["caf", "ab"]


def test_bad_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.parquet"
    save_parquet(path, TEXTS, "body")
    assert refusal(path) == f"{path}: no field 'text'; field must name one of 'id', 'body'"
    assert refusal(path, "id") == f"{path}: the field 'id' holds int64, not text"
    save_parquet(path, [[["a"]], [], None, [["b"]]])
    assert refusal(path).startswith(f"{path}: the field 'text' holds list<")
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
    with running(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        site = f"http://127.0.0.1:{server.server_port}"
        compressed = source(f"{site}/text.jsonl.gz")
        assert list(compressed.documents()) == FILLED
        assert compressed.fingerprint() == source(tmp_path / "text.jsonl.gz").fingerprint()
        assert [t.strip() for t in source(f"{site}/text.txt", None).documents()] == ["one", "two"]
        with pytest.raises(InputError, match=r"/none.txt: cannot be read \(404"):
            list(source(f"{site}/none.txt", None).documents())


def test_a_server_that_does_not_answer_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("w2v.text.remote.TIMEOUT", (60.0, 0.1))
    with socket.create_server(("127.0.0.1", 0)) as server:
        timer = threading.Timer(20, server.close)  # ends the test if nothing else does
        timer.start()
        site = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(InputError, match=r"/text.txt: cannot be read \(.*timed out"):
            list(source(f"{site}/text.txt", None).documents())
        timer.cancel()


# Tables


@pytest.mark.parametrize(
    ("name", "content", "field"),
    [
        ("a.csv", 'id,review\n1,"One, ""two""\nthree"\n\n2,four\n', "review"),
        ("a.csv.gz", 'id;review\n1;"One, ""two""\nthree"\n2;four\n', "review"),
        ("a.CSV", '\ufeffid,review\r\n1,"One, ""two""\nthree"\r\n2,four\r\n', "review"),
        ("a.csv", '1,"One, ""two""\nthree"\n2,four\n', "2"),
        ("a.csv", 'x,"One, ""two""\nthree"\n2,four\n', "2"),  # of one row, x could be a value
        ("a.txt", 'id|review\n1|"One, ""two""\nthree"\n2|four\n', "review"),
        ("a.csv", 'review\n"One, ""two""\nthree"\nfour\n', "review"),
    ],
)
@pytest.mark.parametrize("size", [3, 1 << 20])
def test_a_column_of_a_table_is_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: str,
    field: str,
    size: int,
) -> None:
    monkeypatch.setattr(sources, "READ_BYTES", size)
    path = tmp_path / name
    with smart_open.open(str(path), "wb") as file:
        file.write(content.encode())
    assert list(source(path, field).documents()) == ['One, "two"\nthree', "four"]


def test_rows_without_a_header_are_counted_from_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a b,1\nc d\n")
    with pytest.raises(InputError, match="row 2 has 1 columns, not 2"):
        list(source(tmp_path / "a.csv", "1").documents())


def test_the_first_cell_may_be_as_long_as_others(tmp_path: Path) -> None:
    csv.field_size_limit(131_072)  # the default of this process, which other tests change
    text = "a " * 100_000
    (tmp_path / "a.csv").write_text(f"{text},1\nb,2\n")
    assert list(source(tmp_path / "a.csv", "1").documents()) == [text, "b"]


def test_a_comma_before_a_space_is_punctuation(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Ja, gut;1\nNein, nie;2\n")
    assert list(source(tmp_path / "a.csv", "1").documents()) == ["Ja, gut", "Nein, nie"]
    (tmp_path / "a.csv").write_text("1, Ja; gut\n2, Nein\n")
    assert list(source(tmp_path / "a.csv", "2").documents()) == [" Ja; gut", " Nein"]


def test_columns_of_parquet_that_share_a_name_are_refused(tmp_path: Path) -> None:
    table = pyarrow.table([["a"], ["b"]], names=["text", "text"])
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert refusal(tmp_path / "a.parquet").endswith(
        "several columns are called 'text'; rename them"
    )


def test_quotes_in_tsv_are_text(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('id\treview\n1\t"a b\n2\tc "d" e\n')
    assert list(source(path, "review").documents()) == ['"a b', 'c "d" e']


NAME_IT = "name the column, as in field="
ABOVE = " (if it is a document, write a header above it)"


@pytest.mark.parametrize(
    ("content", "field", "reason"),
    [
        (
            "id,review\n1,a\n",
            "text",
            "no column 'text'; field must name one of 'id', 'review', or give the number of a "
            "column if there is no header",
        ),
        (
            "id,review\n1,a, b\n",
            "review",
            "row 1 after the header has 3 columns, not 2; a cell that holds ',' must stand in "
            "quotes",
        ),
        ("text,text\na,b\n", "text", "2 columns are called 'text'; rename the others"),
        ("texts\na\n", "1", f"its first row is a header, 'texts'; {NAME_IT}texts{ABOVE}"),
        (
            "words,id\na,b\n",
            "1",
            f"its first row is a header, 'words', 'id'; {NAME_IT}words{ABOVE}",
        ),
        (
            "words,stars\na,1\nb,2\n",
            "1",
            f"its first row is a header, 'words', 'stars'; {NAME_IT}words{ABOVE}",
        ),
        ('id,review\n1,"a\n', "review", "cannot be read as a table (unexpected end of data)"),
        (
            "review\rone two\rthree four\r",
            "review",
            "cannot be read as a table (a line ends in a carriage return alone)",
        ),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, content: str, field: str, reason: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(InputError) as early:  # where the first record is bad
        source(path, field)
    assert str(early.value) == f"{path}: {reason}"


@pytest.mark.parametrize(
    ("name", "content", "names"),
    [
        ("a.csv", "id,review\n1,a\n", "'id', 'review'"),
        ("a.tsv", "id\treview,b\n1\ta\n", "'id', 'review,b'"),
        ("a.jsonl", '{"id": 1, "a": {"text": "b"}}\n', "'id', 'a.text'"),
        ("a.json", '[\n{"id": 1, "text": "b"}]', "'id', 'text'"),
        ("a.txt", '{"id": 1, "text": "b"}\n', "'id', 'text'"),
        ("a.txt", '[{"id": 1, "text": "b"}]\n', "'id', 'text'"),
    ],
)
def test_the_fields_are_named_where_one_is_needed(
    tmp_path: Path, name: str, content: str, names: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert refusal(path, None) == (
        f"{path}: its text is in a field; name it by field, as in field=text; the fields are "
        f"{names}"
    )
    if name == "a.txt":
        path.write_bytes(b"\xef\xbb\xbf" + content.encode())
        assert refusal(path, None).endswith(names)
        path.write_text(content, encoding="utf-16")
        with pytest.raises(InputError, match=f"the fields are {names}$"):
            FilesCorpus(path=str(path), encoding="utf-16").source(Path("outputs"))
    path.with_suffix(".txt").write_text("[Chorus] plain {text}\n{a} b\n")
    assert len(list(source(path.with_suffix(".txt"), None).documents())) == 2


# JSON other than lines


@pytest.mark.parametrize("size", [3, 100, 1 << 20])
@pytest.mark.parametrize(
    "content",
    [
        json.dumps([{"id": 1, "text": text} for text in TEXTS]),
        json.dumps([{"id": 1, "text": text} for text in TEXTS], indent=2, ensure_ascii=False),
        " \n[ ]\n",
        "\n".join(json.dumps({"id": [], "text": text}, indent=1) for text in TEXTS),
    ],
)
def test_arrays_and_indented_objects_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, size: int
) -> None:
    indented = content.startswith("{")
    monkeypatch.setattr(sources, "READ_BYTES", max(size, 100) if indented else size)
    path = tmp_path / "a.json"
    path.write_text(content)
    assert list(source(path).documents()) == (FILLED if "text" in content else [])


def test_a_long_array_is_read_as_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "READ_BYTES", 50)
    path = tmp_path / "a.json"
    texts = ["x" * (1 + number % 399) for number in range(2000)]
    path.write_text(json.dumps([{"text": text} for text in texts]))
    assert list(source(path).documents()) == texts


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('[{"text": "a"}, {"text": b}' + " " * 200, "record 2 is not JSON (Expecting value)"),
        ('[{"text": "a"}, {"text": "b"', "record 2 is not JSON (Expecting ',' delimiter)"),
        ('[{"text": "a"}', "the array is not closed; the file may be cut"),
        (
            '[{"text": "a"}]\n[{"text": "b"}]',
            "text follows the end of the array; a file holds one array, or one object per line",
        ),
        ('["a"]', "record 1 is not a JSON object with fields"),
    ],
)
def test_bad_arrays_are_refused(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    assert refusal(path) == f"{path}: {reason}"


# Fields


@pytest.mark.parametrize(
    ("record", "field", "text"),
    [
        ({"a": {"text": "one"}}, "a.text", "one"),
        ({"a": {"b": {"c": "one"}}}, "a.b.c", "one"),
        ({"a.text": "one", "a": {"text": "two"}}, "a.text", "one"),
        ({"a.b": {"c": "one"}}, "a.b.c", "one"),
        ({"tokens": ["The", "cat", None, "sat"]}, "tokens", "The cat sat"),
        (["The", "cat"], ".", "The cat"),
        ("one", ".", "one"),
    ],
)
def test_nested_fields_and_lists_of_tokens(
    tmp_path: Path, record: Any, field: str, text: str
) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(record))
    (tmp_path / "a.json").write_text(json.dumps([record]))
    for name in ("a.jsonl", "a.json"):
        assert list(source(tmp_path / name, field).documents()) == [text]
    if isinstance(record, dict):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([record]), tmp_path / "a.parquet")
        assert list(source(tmp_path / "a.parquet", field).documents()) == [text]


def test_a_null_in_place_of_an_object_is_an_empty_document(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": null}\n{"a": {"text": "one"}}\n')
    assert list(source(path, "a.text").documents()) == ["one"]
    assert refusal(path, "a.body").endswith(
        "line 2 has no field 'a.body'; field must name one of 'a.text'"
    )


def test_categories_in_parquet_are_text(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    save_parquet(path, pyarrow.array(["one", "two", "one", None]).dictionary_encode())
    assert list(source(path).documents()) == ["one", "two", "one"]
    save_parquet(path, pyarrow.array([1, 2]).dictionary_encode())
    assert "the field 'text' holds int64, not text" in refusal(path)


@pytest.mark.parametrize("unit", ["paragraph", "file"])
def test_other_units_and_fields_are_not_given_together(tmp_path: Path, unit: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines_of(TEXTS))
    with pytest.raises(SettingError) as caught:
        FilesCorpus(path=str(path), unit=unit, field="text").source(Path("outputs"))
    assert str(caught.value) == (
        f"unit={unit}: must be line where a field is named: each record is a document"
    )
