"""Test the readers of text8, the Stanford Sentiment Treebank and IMDB, from their archives."""

import gzip
import io
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w2v.compression import Decompressed
from w2v.errors import InputError
from w2v.hashes import FileHashes
from w2v.text.corpora import text8 as text8_archive
from w2v.text.corpora.archive import ArchiveSource
from w2v.text.corpora.imdb import read_imdb
from w2v.text.corpora.sst import read_sst
from w2v.text.corpora.text8 import read_text8

TEXT = " anarchism originated as a term of abuse first used against early working class radicals"


def zipped(path: Path, members: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


Entry = tuple[str, bytes] | tarfile.TarInfo


def tarred(path: Path, entries: list[Entry]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
            else:
                member = tarfile.TarInfo(entry[0])
                member.size = len(entry[1])
                archive.addfile(member, io.BytesIO(entry[1]))
    return path


def documents(read: Callable[[Path], Iterator[str]], path: Path) -> list[str]:
    """Return the documents that `ArchiveSource` yields for a local archive, read by `read`."""
    return list(ArchiveSource(path, read, {}, FileHashes()).documents())


def refusal(read: Callable[[Path], Iterator[str]], path: Path) -> str:
    with pytest.raises(InputError) as refused:
        documents(read, path)
    assert "\n" not in str(refused.value)
    return str(refused.value).replace(str(path), "PATH")


# text8


def text8(words: int = 4) -> Callable[[Path], Iterator[str]]:
    return lambda path: read_text8(path, words)


def test_text8_is_cut_into_documents(tmp_path: Path) -> None:
    path = zipped(tmp_path / "text8.zip", {"text8": TEXT})
    texts = documents(text8(), path)
    assert [len(text.split()) for text in texts] == [4, 4, 4, 2]
    assert " ".join(texts).split() == TEXT.split()
    (tmp_path / "text8").write_text(TEXT)
    (tmp_path / "text8.gz").write_bytes(gzip.compress(TEXT.encode()))
    assert documents(text8(), tmp_path / "text8") == texts
    assert documents(text8(), tmp_path / "text8.gz") == texts


@settings(max_examples=30)
@given(words=st.lists(st.text("abé", min_size=1), max_size=40), size=st.integers(1, 9))
def test_text8_does_not_depend_on_where_blocks_end(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], size: int
) -> None:
    path = tmp_path_factory.mktemp("text8") / "text8"
    path.write_text(" ".join(words))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text8_archive, "blocks", lambda file: iter(lambda: file.read(size), b""))
        texts = documents(text8(3), path)
    assert " ".join(texts) == " ".join(words)
    assert [len(text.split()) for text in texts[:-1]] == [3] * (len(texts) - 1)


def test_a_file_that_is_not_text8_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"other": TEXT})
    assert refusal(text8(), path) == "PATH: the archive must hold one text8; it holds none"
    path = zipped(tmp_path / "b.zip", {"a/text8": TEXT, "b/text8": TEXT})
    assert refusal(text8(), path) == "PATH: the archive must hold one text8; it holds 2"
    path = zipped(tmp_path / "c.zip", {"text8": bytes(5 << 20)})
    assert refusal(text8(), path) == (
        "PATH: no space in 1048576 bytes; it must be the text of text8"
    )
    path = zipped(tmp_path / "d.zip", {"text8": b"ab " * 500_000 + b"c\xff d"})
    assert refusal(text8(), path) == "PATH: byte 1500001 (0xff) is not UTF-8"
    path = tmp_path / "e.zip"
    path.write_bytes((tmp_path / "d.zip").read_bytes().replace(b"text8", b"text9", 1))
    assert refusal(text8(), path).startswith("PATH: cannot be read (File name in directory 'text8'")


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"text8": " ".join(map(str, range(200_000)))})
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    assert refusal(text8(), path).startswith("PATH: cannot be read (")


def test_an_archive_with_a_password_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"text8": TEXT})
    data = bytearray(path.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(header) + flags] |= 1
    path.write_bytes(data)
    assert refusal(text8(), path).startswith("PATH: cannot be read (File")


# The Stanford Sentiment Treebank

ROWS = ["A fine film .", "Effective but too-tepid biopic", "CafÃ© .\ttwice"]
TABLE = "sentence_index\tsentence\n" + "".join(f"{i}\t{row}\n" for i, row in enumerate(ROWS, 1))


@pytest.mark.parametrize(
    "text", [TABLE, TABLE.replace("\n", "\r\n"), "\ufeff" + TABLE, "\n".join(ROWS)]
)
def test_the_treebank_is_read_as_a_table_or_as_lines(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_bytes(text.encode())
    assert documents(read_sst, tmp_path / "a.txt") == ROWS
    members: dict[str, str | bytes] = {
        "stanfordSentimentTreebank/": "",
        "stanfordSentimentTreebank/datasetSentences.txt": text,
        "stanfordSentimentTreebank/datasetSplit.txt": "sentence_index,splitset_label\n1,1\n",
        "__MACOSX/stanfordSentimentTreebank/._datasetSentences.txt": b"\x00\x05\x16\x07",
    }
    assert documents(read_sst, zipped(tmp_path / "a.zip", members)) == ROWS


def test_lines_of_a_compressed_treebank_are_not_read_byte_by_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(TABLE.encode()))
    monkeypatch.setattr(Decompressed, "read", None)  # io.IOBase.readline calls it for each byte
    assert documents(read_sst, tmp_path / "a.txt.gz") == ROWS


def test_a_treebank_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "b.zip", {"datasetSentences.txt": b"1\tone\n2\t\xe9t\xe9\n"})
    assert refusal(read_sst, path) == "PATH: line 2: byte 2 (0xe9) is not UTF-8"


# The IMDB reviews

ALL = ("test", "train", "unsup")
REVIEWS: list[Entry] = [
    ("aclImdb/README", b"Large Movie Review Dataset v1.0"),
    ("aclImdb/imdb.vocab", b"the\nand\n"),
    ("aclImdb/test/urls_neg.txt", b"http://www.imdb.com/title/tt0364986/usercomments\n"),
    ("aclImdb/test/neg/127_3.txt", b"Dull.<br /><br />Not one laugh."),
    ("aclImdb/train/labeledBow.feat", b"9 0:9 1:1\n" * 500_000),
    ("aclImdb/train/pos/127_7.txt", "A fine café&#x21; R&amp;D, AT&T<BR/>more".encode()),
    ("aclImdb/train/unsup/0_0.txt", b"I admit, the great majority"),
]


def test_reviews_are_read_by_split_and_without_markup(tmp_path: Path) -> None:
    path = tarred(tmp_path / "a.tar.gz", REVIEWS)
    texts = {
        "test": "Dull.  Not one laugh.",
        "train": "A fine café! R&D, AT&T more",
        "unsup": "I admit, the great majority",
    }
    assert documents(imdb, path) == list(texts.values())
    for split, text in texts.items():
        assert list(read_imdb(path, (split,))) == [text]


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_nothing_is_extracted_and_only_regular_files_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    hostile: list[Entry] = [
        ("../escaped.txt", b"harm"),
        ("aclImdb/train/pos/../../../escaped_1.txt", b"harm"),
        (f"{tmp_path}/absolute_1.txt", b"harm"),
        (f"{tmp_path}/aclImdb/train/pos/1_1.txt", b"harm"),
        ("aclImdb/train/pos/1_1.txt\n", b"harm"),
        link("aclImdb/train/pos/2_1.txt", str(tmp_path / "secret")),
        link("aclImdb/train/pos/3_1.txt", "../../../../secret"),
        link("aclImdb/train/pos/4_1.txt", "aclImdb/test/neg/127_3.txt", tarfile.LNKTYPE),
        link("aclImdb/train/pos/5_1.txt", "", tarfile.FIFOTYPE),
        link("aclImdb/train/pos/6_1.txt", "", tarfile.CHRTYPE),
        link("aclImdb/train/pos/7_1.txt", "", tarfile.DIRTYPE),
    ]
    path = tarred(folder / "a.tar.gz", [*hostile, *REVIEWS])
    before = sorted(tmp_path.rglob("*"))
    assert len(documents(imdb, path)) == 3
    members: dict[str, str | bytes] = {"../escaped": "harm", "/absolute": "harm", "text8": TEXT}
    bad = zipped(folder / "a.zip", members)
    assert documents(text8(99), bad) == [TEXT.strip()]
    assert sorted(tmp_path.rglob("*")) == sorted([*before, bad])
    assert not Path("/absolute").exists()


def imdb(path: Path) -> Iterator[str]:
    return read_imdb(path, ALL)


def test_a_file_that_is_not_the_reviews_is_refused(tmp_path: Path) -> None:
    path = tarred(tmp_path / "a.tar.gz", [("readme.txt", b"none")])
    assert refusal(imdb, path) == "PATH: no review is in it; it must be aclImdb_v1.tar.gz"
    (tmp_path / "b.tar.gz").write_text("none")
    assert refusal(imdb, tmp_path / "b.tar.gz").startswith("PATH: cannot be read (Not a gzip")
    path = tarred(tmp_path / "c.tar.gz", [("aclImdb/train/pos/1_9.txt", b"caf\xe9")])
    assert refusal(imdb, path) == ("PATH: aclImdb/train/pos/1_9.txt: byte 3 (0xe9) is not UTF-8")
    data = tarred(tmp_path / "d.tar.gz", REVIEWS).read_bytes()
    (tmp_path / "d.tar.gz").write_bytes(data[: len(data) // 2])
    assert refusal(imdb, tmp_path / "d.tar.gz").startswith("PATH: cannot be read (")
    (tmp_path / "e.tar.gz").write_bytes(data[:-8] + bytes(8))
    assert refusal(imdb, tmp_path / "e.tar.gz").startswith("PATH: cannot be read (CRC check")


def test_memory_does_not_grow_with_the_number_of_members(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for number in range(5_000):
            member = tarfile.TarInfo(f"aclImdb/train/pos/{number}_9.txt")
            member.size = 4
            archive.addfile(member, io.BytesIO(b"fine"))
    tracemalloc.start()
    assert sum(1 for _ in imdb(path)) == 5_000
    spent = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert spent < 2 << 20, "a list of the members takes ten times as much"
