"""Test the sources of documents: plain, compressed and damaged text files, and docstrings."""

import bz2
import gzip
import hashlib
import io
import lzma
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from w2v.compression import OPENERS, open_binary
from w2v.errors import InputError
from w2v.settings import SettingError
from w2v.text import sources
from w2v.text.docstrings import PyDocs, file_docstrings, without_doctests
from w2v.text.sources import Files

steady = settings(derandomize=True, deadline=None, max_examples=50)


def stripped(files: Files) -> list[str]:
    return [document.rstrip("\r\n") for document in files.documents()]


def refusal(source: Files | PyDocs) -> str:
    with pytest.raises(InputError) as caught:
        list(source.documents())
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Files

TEXT = "First line, naïve.\n\n  \t \nSecond “line”.\n \u2028\u3000\nno end of line"
LINES = ["First line, naïve.", "Second “line”.", "no end of line"]
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".txt": bytes,
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".txt.GZ": gzip.compress,
}


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_a_document_is_a_line_or_a_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_bytes(COMPRESSIONS[suffix](TEXT.encode()))
    assert stripped(Files([str(path)])) == LINES
    assert list(Files([str(path)], unit="file").documents()) == [TEXT]


@pytest.mark.parametrize("suffix", [".bz2", ".xz"])
def test_a_file_of_several_streams_is_read_or_refused_as_a_whole(
    tmp_path: Path, suffix: str
) -> None:
    path, compress = tmp_path / f"text{suffix}", COMPRESSIONS[suffix]
    streams = [compress(f"line {n}\n".encode() * 50_000) for n in range(3)]
    path.write_bytes(streams[0] + streams[1] + bytes(4) + streams[2] + bytes(8))
    wanted = [f"line {n}" for n in range(3) for _ in range(50_000)]
    assert stripped(Files([str(path)])) == wanted
    damaged = bytearray(streams[1])
    damaged[2] ^= 16
    for content in (
        streams[0] + damaged + streams[2],
        streams[0] + b"no stream",
        streams[0] + streams[1][:-9],
        streams[0] + streams[1][:5],
    ):
        path.write_bytes(content)
        assert f"{path}: cannot be read (" in refusal(Files([str(path)]))


def test_files_are_read_in_the_given_order(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text(f"{name}1\n{name}2\n")
    (tmp_path / "blank").write_text("\n \n")
    paths = [str(tmp_path / name) for name in ("c", "blank", "a", "b")]
    assert stripped(Files(paths)) == ["c1", "c2", "a1", "a2", "b1", "b2"]
    whole = ["c1\nc2\n", "a1\na2\n", "b1\nb2\n"]
    assert list(Files(paths, unit="file").documents()) == whole


def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbfone\n\xef\xbb\xbftwo\n")
    assert stripped(Files([str(path)])) == ["one", "\ufefftwo"]
    path.write_bytes(b"\xef\xbb\xbf\n\xef\xbb\xbf")
    assert stripped(Files([str(path)])) == ["\ufeff"]


def test_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"one\r\n\r\n \r\ntwo\r\nthree")
    assert stripped(Files([str(path)])) == ["one", "two", "three"]


@steady
@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n\r \u2028\x85")))
@example("a\x85b\u2028c\x0bd\n")
def test_lines_end_only_at_line_feeds(text: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "text.txt"
        path.write_bytes(text.encode())
        documents = list(Files([str(path)]).documents())
    if text.startswith("\ufeff"):
        text = text[1:]
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    assert documents == [line for line in lines if line.strip()]


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "nowhere.txt")
    line = f"{path}: no such file; a text file is needed"
    assert refusal(Files([path])) == line
    with pytest.raises(InputError) as caught:
        Files([path]).fingerprint()
    assert str(caught.value) == line


@pytest.mark.parametrize("name", ["folder", "folder.gz"])
def test_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    path = str(tmp_path / name)
    assert refusal(Files([path])) == f"{path} is a folder; a text file is needed"


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_a_damaged_compressed_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_bytes(COMPRESSIONS[suffix](TEXT.encode())[:-9])
    reason = "Compressed file ended before the end-of-stream marker was reached"
    assert refusal(Files([str(path)])) == f"{path}: cannot be read ({reason})"
    path.write_bytes(b"plain text under a false name\n")
    assert refusal(Files([str(path)])).startswith(f"{path}: cannot be read (")


def test_damage_inside_a_compressed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.gz"
    compressed = bytearray(gzip.compress(TEXT.encode() * 100))
    compressed[10] ^= 0xFF  # the first byte after the header: zlib.error is not an OSError
    path.write_bytes(compressed)
    assert refusal(Files([str(path)])).startswith(f"{path}: cannot be read (")


@pytest.mark.parametrize("unit", ["line", "file"])
@pytest.mark.parametrize(
    ("content", "offset", "byte"),
    [
        (b"\xff", 0, 0xFF),
        (b"one\ntwo \xe9t\xe9\n", 8, 0xE9),
        ("é\n".encode() * 100 + b"\x80", 300, 0x80),
        (b"\xef\xbb\xbfcaf\xe9\n", 6, 0xE9),  # after a byte order mark
        (b"\xef\xbb\xbfone\ncaf\xe9\n", 10, 0xE9),
        (b"one\n\xed\xa0\x80\n", 4, 0xED),  # a surrogate
    ],
)
def test_invalid_utf8_is_refused_with_its_offset(
    tmp_path: Path, content: bytes, offset: int, byte: int, unit: str
) -> None:
    assert content[offset] == byte
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    source = Files([str(path)], "line" if unit == "line" else "file")
    assert refusal(source) == (
        f"{path}: byte {offset} (0x{byte:02x}) is not UTF-8; "
        "name the encoding, as in encoding=cp1252, or set errors=replace or errors=ignore"
    )


def test_offsets_count_decompressed_bytes(tmp_path: Path) -> None:
    path = tmp_path / "text.gz"
    path.write_bytes(gzip.compress(b"one\n" * 1000 + b"\xff", mtime=0))
    assert f"{path}: byte 4000 (0xff) is not UTF-8" in refusal(Files([str(path)]))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1 << 20])
@pytest.mark.parametrize("errors", ["replace", "ignore"])
def test_invalid_bytes_are_handled_like_python_does(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    errors: str,
) -> None:
    monkeypatch.setattr(sources, "READ_BYTES", size)
    content = b"\xef\xbb\xbfa\xff\xfe\xc3\xa9\xe2\x82 \xf0\x9f\x98\x80\xed\xa0\x80 "
    content += "\ufffd".encode() + b"\xf0\x9f\x98"
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    (block,) = Files([str(path)], errors=errors).blocks()
    assert block.data.decode() == content[3:].decode("utf-8", errors)
    assert block.invalid == content[3:].decode("utf-8", "replace").count("\ufffd") - 1
    assert block.byte_order_marks == 1


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_offset_does_not_depend_on_the_size_of_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(sources, "READ_BYTES", size)
    path = tmp_path / "text.txt"
    content = "\ufeffé😀\ntext".encode()
    for cut in (b"\xff", b"\xe2\x82", b"\xe2\x82x", b"\xf0\x9f\x98"):
        path.write_bytes(content + cut)
        assert f"byte {len(content)} (0x{cut[0]:02x})" in refusal(Files([str(path)]))


def test_progress_counts_bytes_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "READ_BYTES", 1000)
    monkeypatch.setattr(sources, "BLOCK_BYTES", 1000)
    paths = [str(tmp_path / f"text{suffix}") for suffix in (".txt", ".gz", ".xz")]
    text = b"".join(hashlib.sha256(b"%d" % n).hexdigest().encode() + b"\n" for n in range(2000))
    for path in paths:
        with OPENERS.get(Path(path).suffix, open)(path, "wb") as file:
            file.write(text)
    hashed: list[tuple[int, float | None]] = []
    source = Files(paths, hashed=lambda *of: hashed.append(of))
    done = [block.done for block in source.blocks()]
    assert done == sorted(done)  # type: ignore[type-var]
    assert done[-1] == 1
    assert len(set(done)) > 100
    source.fingerprint()
    assert hashed[-1] == (sum(Path(path).stat().st_size for path in paths), 1)


def test_documents_before_a_fault_are_yielded(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"one\ntwo\n\xff\n")
    documents = Files([str(path)]).documents()
    assert [next(documents), next(documents)] == ["one\n", "two\n"]
    with pytest.raises(InputError):
        next(documents)


def test_a_fingerprint_depends_on_content_order_and_unit(tmp_path: Path) -> None:
    one, two, copy = (str(tmp_path / name) for name in ("one", "two", "copy"))
    Path(one).write_text("one\n")
    Path(two).write_text("two\n")
    Path(copy).write_text("one\n")
    fingerprint = Files([one, two]).fingerprint()
    assert fingerprint == Files([copy, two]).fingerprint()
    others = [
        Files([two, one]).fingerprint(),
        Files([one]).fingerprint(),
        Files([one, two], unit="file").fingerprint(),
    ]
    Path(two).write_text("two!\n")
    others.append(Files([one, two]).fingerprint())
    assert fingerprint not in others
    assert len({str(other) for other in others}) == len(others)


def test_a_fingerprint_needs_no_decompressing(tmp_path: Path) -> None:
    path = tmp_path / "text.gz"
    path.write_bytes(b"no gzip at all")
    assert Files([str(path)]).fingerprint()["unit"] == "line"


def test_files_can_be_opened_by_another_function(tmp_path: Path) -> None:
    opened: list[str] = []

    def opener(name: str) -> IO[bytes]:
        opened.append(name)
        compressed = tmp_path / "hidden.gz"
        compressed.write_bytes(gzip.compress(b"content\n", mtime=0))
        return open_binary(compressed)

    assert stripped(Files(["store://bucket/text"], open=opener)) == ["content"]
    assert opened == ["store://bucket/text"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"unit": "word"}, "unit=word: must be line, paragraph or file"),
        ({"errors": "lax"}, "errors=lax: must be strict, replace or ignore"),
    ],
)
def test_wrong_settings_are_refused(change: dict[str, Any], line: str) -> None:
    with pytest.raises(SettingError) as caught:
        Files(["text.txt"], **change)
    assert str(caught.value) == line


# PyDocs


MODULES = {
    "fakedocs/__init__.py": '''
"""The package: a fake for tests.

    >>> import fakedocs
    >>> fakedocs.answer()
    42
    forty two

After the example.
"""
raise RuntimeError("imported")  # the module must not be run
''',
    "fakedocs/b.py": '''
"""Module b."""

class Outer:
    """The outer class."""

    def method(self):
        """The method, indented.

        Its second paragraph.
        """

    class Inner:
        """The inner class."""

async def coroutine():
    """A coroutine."""

def undocumented():
    x = "no docstring, though a string"

def again():
    """The outer class."""

add_newdoc("fakedocs.b", "compiled", """
    compiled(x, y)

    The compiled function's text.
    """)
other_call("a string that documents nothing")
''',
    "fakedocs/a.py": '"""Module a."""\n',
    "fakedocs/broken.py": '"""Broken."""\ndef (:\n',
    "fakedocs/null.py": '"""Null."""\0\n',
    "fakedocs/latin.py": '# -*- coding: latin-1 -*-\n"""Caf\xe9."""\n',
    "fakedocs/tests/test_a.py": '"""A test."""\n',
    "fakedocs/data.txt": '"""Not Python."""\n',
    "fakedocs/examples.py": '"""\n>>> only(examples)\nhere\n"""\n',
}

DOCUMENTS = [
    "The package: a fake for tests.\n\n\nAfter the example.",
    "Module a.",
    "Module b.",
    "The outer class.",
    "A coroutine.",
    "The method, indented.\n\nIts second paragraph.",
    "The inner class.",
    "compiled(x, y)\n\nThe compiled function's text.",
    "Café.",
]


@pytest.fixture
def fakedocs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package in a temporary folder; return the path of RECORD, the list of its files."""
    site = tmp_path / "site"
    for name, content in MODULES.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(content.encode("latin-1"))
    info = site / "fake_docs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-docs\nVersion: 1.0\n")
    # Not sorted: the order of documents must not depend on the installer.
    listed = [*reversed(MODULES), "fakedocs/gone.py", "fake_docs-1.0.dist-info/METADATA"]
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in listed))
    monkeypatch.syspath_prepend(str(site))
    return info / "RECORD"


def normal(documents: list[str]) -> list[str]:
    return [document.strip() for document in documents]


def test_docstrings_are_parsed_without_importing(fakedocs: Path) -> None:
    source = PyDocs(["fake-docs"], workers=2)
    documents = list(source.documents())
    assert normal(documents) == DOCUMENTS
    assert "fakedocs" not in sys.modules
    # Duplicates are dropped over all packages; workers and the order in RECORD do not matter.
    lines = fakedocs.read_text().splitlines(keepends=True)
    fakedocs.write_text("".join(reversed(lines)))
    assert list(PyDocs(["fake-docs", "fake_docs"], workers=1).documents()) == documents


class OneThread(ThreadPoolExecutor):
    """A stand-in for a pool of processes, which runs tasks in a thread of this process.

    When `shutdown` begins to wait for running tasks, the event `waits` is set.
    """

    waits = threading.Event()

    def __init__(self, workers: int, mp_context: object) -> None:
        del workers, mp_context
        super().__init__(1)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        self.waits.set()
        super().shutdown(wait=wait)


def test_files_are_not_parsed_if_no_more_documents_are_wanted(
    fakedocs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    OneThread.waits.clear()
    parsed: list[Path] = []

    def parse(path: Path) -> list[str]:
        parsed.append(path)
        if len(parsed) > 1:
            OneThread.waits.wait(60)
        return [str(path)]

    monkeypatch.setattr("w2v.text.docstrings.ProcessPoolExecutor", OneThread)
    monkeypatch.setattr("w2v.text.docstrings.file_docstrings", parse)
    documents = PyDocs(["fake-docs"]).documents()
    assert next(documents)
    del documents
    assert 1 <= len(parsed) <= 2 < len(MODULES)


def test_the_fingerprint_of_a_package_depends_on_its_record(fakedocs: Path) -> None:
    fingerprint = PyDocs(["fake-docs"]).fingerprint()
    assert PyDocs(["fake-docs"], workers=3).fingerprint() == fingerprint
    assert fingerprint["packages"] == ["fake-docs"]
    fakedocs.write_text(fakedocs.read_text() + "fakedocs/new.py,sha256=abc,3\n")
    assert PyDocs(["fake-docs"]).fingerprint() != fingerprint


def test_the_fingerprint_of_a_package_without_a_record_depends_on_its_files(
    fakedocs: Path,
) -> None:
    documents = list(PyDocs(["fake-docs"]).documents())
    info = fakedocs.parent.rename(fakedocs.parent.with_name("fake_docs-1.0.egg-info"))
    (info / "METADATA").rename(info / "PKG-INFO")
    (info / "RECORD").unlink()
    (info / "SOURCES.txt").write_text("".join(f"{name}\n" for name in [*MODULES, "setup.py"]))
    fingerprint = PyDocs(["fake-docs"]).fingerprint()
    assert list(PyDocs(["fake-docs"]).documents()) == documents
    (info.parent / "fakedocs" / "a.py").write_text('"""Another text."""\n')
    assert PyDocs(["fake-docs"]).fingerprint() != fingerprint


@pytest.mark.parametrize("record", ["", "__editable__.fake_docs-1.0.pth,,\nfakedocs/gone.py,,\n"])
def test_a_package_whose_python_files_are_not_listed_is_refused(
    fakedocs: Path, record: str
) -> None:
    fakedocs.write_text(record)
    assert refusal(PyDocs(["stdlib", "fake-docs"])) == (
        "packages=fake-docs: must be a package with Python files; none is among its installed files"
    )


def test_the_fingerprint_of_the_standard_library_is_its_version() -> None:
    expected = {"packages": ["stdlib"], "releases": {"stdlib": sys.version}}
    assert PyDocs(["stdlib"]).fingerprint() == expected


@pytest.mark.parametrize("package", ["no-such-package-here", ""])
def test_an_unknown_package_is_refused(package: str) -> None:
    line = (
        f"packages={package or repr(package)}: must be the name of an installed package, as pip "
        "shows it, or stdlib"
    )
    assert refusal(PyDocs([package])) == line
    with pytest.raises(InputError) as caught:
        PyDocs([package]).fingerprint()
    assert str(caught.value) == line


def docstrings(path: Path, content: str) -> list[str]:
    path.write_text(content)
    return file_docstrings(path)


def test_files_that_cannot_be_parsed_have_no_docstrings(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    assert docstrings(path, '"""Fine."""\n') == ["Fine."]
    assert docstrings(path, '"""Broken."""\ndef (:\n') == []
    assert docstrings(path, '"""Null."""\n\0') == []
    assert docstrings(path, '"""Deep."""\nx = ' + "-" * 200_000 + "1\n") == []
    assert file_docstrings(tmp_path / "missing.py") == []


def test_halves_of_surrogate_pairs_are_replaced(tmp_path: Path) -> None:
    content = r'"""An escape: \udc80."""'
    assert docstrings(tmp_path / "module.py", content) == ["An escape: ?."]


def test_syntax_warnings_are_not_shown(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    assert docstrings(tmp_path / "module.py", '"""An escape: \\d."""\n') == ["An escape: \\d."]
    assert not recwarn.list


@pytest.mark.parametrize(
    ("text", "prose"),
    [
        ("no example", "no example"),
        ("before\n>>> x\n1\n\nafter", "before\n\nafter"),
        (">>> x\n... y\nout\n    indented out", ""),
        ("a\n  >>> x\n  1\n  >>> y\n\nb >>> c", "a\n\nb >>> c"),
        (">>> x\n   \nafter", "   \nafter"),
    ],
)
def test_doctests_are_left_out_up_to_the_next_blank_line(text: str, prose: str) -> None:
    assert without_doctests(text) == prose


# What is not text, other encodings, paragraphs


def tar_bytes() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo("a.txt")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"one\n"))
    return out.getvalue()


def zip_bytes() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        # A ZipInfo is dated 1980. The present time in here would give each process of the tests
        # another parameter.
        archive.writestr(zipfile.ZipInfo("a.txt"), "one")
    return out.getvalue()


CYRILLIC = "мама мыла раму и пела песню\n" * 3
HINDI = "यह एक छोटा सा वाक्य है और यह दूसरा वाक्य है\n" * 3
ENGLISH = "the cat sat on the mat, naïve\n" * 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tar_bytes(), "is a tar archive; unpack it and name the folder"),
        (zip_bytes(), "is a zip archive or an office document; unpack it and name the folder"),
        (gzip.compress(b"1", mtime=0), "is compressed, which its name must say: let it end in .gz"),
        (b"\x89PNG\r\n\x1a\n\0", "is an image; leave it out"),
        (b"%PDF-1.4\n", "is a PDF document; convert it to text"),
        (b"one\n" * 5 + b"\0" * 5, "is not text: 5 of its first 25 bytes are NUL or control "
         "characters; it is binary data"),
        (ENGLISH.encode("utf-16"), "is UTF-16, as its byte order mark says; set encoding=utf-16"),
        (ENGLISH.encode("utf-32"), "is UTF-32, as its byte order mark says; set encoding=utf-32"),
        *(
            (text.encode(name), f"it looks like {name.upper()}; set encoding={name}")
            for text in (ENGLISH, CYRILLIC, HINDI)
            for name in ("utf-16-le", "utf-16-be")
        ),
        (ENGLISH.encode("utf-32-le"), "it looks like UTF-32-LE; set encoding=utf-32-le"),
    ],
    ids=lambda value: "content" if isinstance(value, bytes) else value.split(";")[0],
)  # fmt: skip
@pytest.mark.parametrize("errors", ["strict", "replace"])
@pytest.mark.parametrize("suffix", [".txt", ".txt.gz"])
def test_what_is_not_text_is_refused(
    tmp_path: Path, content: bytes, reason: str, errors: str, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    source = Files([str(path)], errors=errors)
    line = refusal(source)
    assert line.startswith(f"{path} ")
    if content.startswith(b"\x1f\x8b") and suffix.endswith(".gz"):
        reason = "is compressed twice; decompress it once"
    assert line.endswith(reason)
    with pytest.raises(InputError) as early:
        list(source.heads())
    assert str(early.value) == line


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.gz", "is compressed twice; decompress it once"),
        ("a.tgz", "is a compressed tar archive, by its name; unpack it and name the folder"),
    ],
)
def test_the_message_says_whether_a_file_is_a_tar_or_compressed_twice(
    tmp_path: Path, name: str, reason: str
) -> None:
    once = gzip.compress(b"one two\n")
    path = tmp_path / name
    path.write_bytes(gzip.compress(once) if name == "a.gz" else once)
    assert refusal(Files([str(path)])) == f"{path} {reason}"


def test_nul_after_the_beginning_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"one two\n" * 1000 + "one two\n".encode("utf-16-le") * 1000)
    assert "holds 8,000 NUL bytes among 24,000" in refusal(Files([str(path)]))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_an_empty_file_needs_no_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    paths = tmp_path / "a.txt", tmp_path / "b.txt"
    paths[0].write_text("one\n", encoding=encoding)
    paths[1].touch()
    assert list(Files([*map(str, paths)], encoding=encoding).documents()) == ["one\n"]


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "utf-8-sig", "UTF8"]
)
def test_other_encodings_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, size: int
) -> None:
    monkeypatch.setattr(sources, "READ_BYTES", size)
    path = tmp_path / "text.txt"
    path.write_bytes(ENGLISH.encode(encoding))
    source = Files([str(path)], encoding=encoding)
    assert len(list(source.heads())) == 1
    assert "".join(source.documents()) == ENGLISH
    assert (source.fingerprint() == Files([str(path)]).fingerprint()) == ("8" in encoding[:5])


def test_bytes_that_an_encoding_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "READ_BYTES", 4)
    path = tmp_path / "text.txt"
    path.write_bytes("abcde".encode("utf-16-le") + b"\x00\xd8a\0\n\0")
    assert refusal(Files([str(path)], encoding="utf-16-le")) == (
        f"{path}: byte 10 is not utf-16-le; name the right encoding, or set errors=replace or "
        "errors=ignore"
    )
    (block,) = Files([str(path)], encoding="utf-16-le", errors="replace").blocks()
    assert (block.data.decode(), block.invalid) == ("abcde\ufffda\n", 1)


@pytest.mark.parametrize(
    ("content", "encoding", "reason"),
    [
        (b"one two\n", "utf-16-le", "is not UTF-16-LE but UTF-8; set encoding=utf-8"),
        (b"\xef\xbb\xbfone", "cp1252", "is UTF-8, as its byte order mark says; set encoding=utf-8"),
        (b"o\0n\0e\0", "utf-16", "has no byte order mark; set encoding=utf-16-le or "
         "encoding=utf-16-be"),
    ],
)  # fmt: skip
def test_a_wrong_encoding_is_refused(
    tmp_path: Path, content: bytes, encoding: str, reason: str
) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    assert refusal(Files([str(path)], encoding=encoding)) == f"{path} {reason}"


@pytest.mark.parametrize("name", ["utf-17", "hex", ""])
def test_an_encoding_must_be_known(name: str) -> None:
    with pytest.raises(SettingError, match="must be the name of a text encoding"):
        Files(["text.txt"], encoding=name)


def paragraphs_of(text: str) -> list[str]:
    """Return the paragraphs of a text, found line by line; white space becomes single spaces."""
    found: list[str] = []
    blank = True
    for line in text.split("\n"):
        if line.strip(" \t\r\v\f\x1c\xa0\u3000"):
            if blank:
                found.append("")
            found[-1] += f"{line}\n"
        blank = not line.strip(" \t\r\v\f\x1c\xa0\u3000")
    return [" ".join(paragraph.split()) for paragraph in found]


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(
        st.text(st.sampled_from("ab \n\n\n\té\r\x1c\xa0\u3000"), max_size=40),
        min_size=1,
        max_size=3,
    ),
    size=st.sampled_from([1, 3, 8, 1 << 20]),
)
@example(texts=["aaa\n\xa0 \na"], size=8)
@example(texts=["a\n \xa0\nb\n\u3000"], size=1 << 20)
def test_blank_lines_separate_paragraphs(texts: list[str], size: int) -> None:
    assume(all("\n" in text or "\r" not in text for text in texts))  # others are refused
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "BLOCK_BYTES", size)
        patch.setattr(sources, "READ_BYTES", size)
        paths = [str(Path(name) / str(number)) for number in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            Path(path).write_bytes(text.encode())
        source = Files(paths, "paragraph")
        wanted = [one for text in texts for one in paragraphs_of(text) if one]
        assert [" ".join(text.split()) for text in source.documents() if text.split()] == wanted
        # A tokenizer that may be cut at every space makes blocks of parts of paragraphs.
        found = [""]
        for block in source.blocks(lambda data: data.rfind(b" ") + 1):
            parts = list(sources.document_texts(block))
            for number, part in enumerate(parts, start=1):
                found[-1] += part
                if number < len(parts) or block.whole:
                    found.append("")
        assert [" ".join(text.split()) for text in found if text.split()] == wanted


def test_lines_that_end_in_carriage_returns_alone_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mac.txt"
    path.write_bytes(b"one\rtwo\rthree")
    for unit in ("line", "paragraph"):
        assert refusal(Files([str(path)], unit=unit)) == (
            f"{path}: its lines end in carriage returns alone; make them line feeds "
            r"(tr '\r' '\n'), or set unit=file"
        )
    assert list(Files([str(path)], unit="file").documents()) == ["one\rtwo\rthree"]
    path.write_bytes(b"one\rtwo\nthree\r\n")
    assert stripped(Files([str(path)])) == ["one\rtwo", "three"]
