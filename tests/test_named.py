"""The corpora that have a name: read as they lie, and archives that mean harm."""

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpora import archives as named
from pipeline.corpora.archives import Named, imdb, text8
from pipeline.corpora.sources import open_any
from tests.webserver import Site, serving
from w2v.errors import InputError

ROOT = Path(__file__).parents[1]
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


def guarded(read: Callable[[Path], Iterator[str]], path: Path) -> list[str]:
    """The documents of a copy, as a run reads them."""
    source = Named("it", str(path), "", "", Path("none"), read, (), lambda _: None)
    return list(source.documents())


def refusal(read: Callable[[Path], Iterator[str]], path: Path) -> str:
    with pytest.raises(InputError) as refused:
        guarded(read, path)
    assert "\n" not in str(refused.value)
    return str(refused.value).replace(str(path), "PATH")


def sst(path: Path) -> Iterator[str]:
    return named.sst(path, open_any)


# text8


def of(words: int) -> Callable[[Path], Iterator[str]]:
    return lambda path: text8(path, words, open_any)


def test_text8_is_cut_into_documents(tmp_path: Path) -> None:
    path = zipped(tmp_path / "text8.zip", {"text8": TEXT})
    documents = guarded(of(4), path)
    assert [len(text.split()) for text in documents] == [4, 4, 4, 2]
    assert " ".join(documents).split() == TEXT.split()
    (tmp_path / "text8").write_text(TEXT)
    (tmp_path / "text8.gz").write_bytes(gzip.compress(TEXT.encode()))
    assert guarded(of(4), tmp_path / "text8") == documents
    assert guarded(of(4), tmp_path / "text8.gz") == documents


@given(words=st.lists(st.text("abé", min_size=1), max_size=40), size=st.integers(1, 9))
def test_text8_whatever_the_borders_of_blocks(words: list[str], size: int) -> None:
    data = " ".join(words).encode()
    blocks = [data[i : i + size] for i in range(0, len(data), size)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(named, "file_blocks", lambda file: iter(blocks))
        pieces = list(named.whole_words(io.BytesIO(), Path("text8")))
    assert "".join(pieces) == " ".join(words)
    assert all(piece.endswith(" ") for piece in pieces[:-1] if piece)


def test_text8_that_is_not_text8(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"other": TEXT})
    assert refusal(of(4), path) == "PATH: the archive holds no text8, not one"
    path = zipped(tmp_path / "b.zip", {"a/text8": TEXT, "b/text8": TEXT})
    assert refusal(of(4), path) == "PATH: the archive holds 2 text8, not one"
    path = zipped(tmp_path / "c.zip", {"text8": bytes(5 << 20)})
    assert refusal(of(4), path) == ("PATH: no space in 1048576 bytes; it must be the text of text8")
    path = zipped(tmp_path / "d.zip", {"text8": b"ab " * 500_000 + b"c\xff d"})
    assert refusal(of(4), path) == "PATH: byte 1500001 (0xff) is not UTF-8"
    path = tmp_path / "e.zip"
    path.write_bytes((tmp_path / "d.zip").read_bytes().replace(b"text8", b"text9", 1))
    assert refusal(of(4), path).startswith("PATH: cannot be read (File name in directory 'text8'")


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"text8": " ".join(map(str, range(200_000)))})
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    assert refusal(of(4), path).startswith("PATH: cannot be read (")


def test_an_archive_with_a_password_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"text8": TEXT})
    data = bytearray(path.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(header) + flags] |= 1
    path.write_bytes(data)
    assert refusal(of(4), path).startswith("PATH: cannot be read (File")


# The treebank

ROWS = ["A fine film .", "Effective but too-tepid biopic", "CafÃ© .\ttwice"]
TABLE = "sentence_index\tsentence\n" + "".join(f"{i}\t{row}\n" for i, row in enumerate(ROWS, 1))


@pytest.mark.parametrize(
    "text", [TABLE, TABLE.replace("\n", "\r\n"), "\ufeff" + TABLE, "\n".join(ROWS)]
)
def test_the_treebank_as_its_table_or_as_lines(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_bytes(text.encode())
    assert guarded(sst, tmp_path / "a.txt") == ROWS
    members: dict[str, str | bytes] = {
        "stanfordSentimentTreebank/": "",
        "stanfordSentimentTreebank/datasetSentences.txt": text,
        "stanfordSentimentTreebank/datasetSplit.txt": "sentence_index,splitset_label\n1,1\n",
        "__MACOSX/stanfordSentimentTreebank/._datasetSentences.txt": b"\x00\x05\x16\x07",
    }
    assert guarded(sst, zipped(tmp_path / "a.zip", members)) == ROWS


def test_a_treebank_that_is_none(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"datasetSentences.txt": b"1\tone\n" + bytes(3 << 20)})
    assert refusal(sst, path) == "PATH: line 2 is longer than 1048576 bytes"
    path = zipped(tmp_path / "b.zip", {"datasetSentences.txt": b"1\tone\n2\t\xe9t\xe9\n"})
    assert refusal(sst, path) == "PATH: line 2: byte 2 (0xe9) is not UTF-8"


# The reviews

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


def test_the_reviews_by_split_without_their_markup(tmp_path: Path) -> None:
    path = tarred(tmp_path / "a.tar.gz", REVIEWS)
    texts = {
        "test": "Dull.  Not one laugh.",
        "train": "A fine café! R&D, AT&T more",
        "unsup": "I admit, the great majority",
    }
    assert list(imdb(path, ALL)) == list(texts.values())
    for split, text in texts.items():
        assert list(imdb(path, (split,))) == [text]


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_an_archive_that_means_harm_does_none(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    harm: list[Entry] = [
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
    path = tarred(folder / "a.tar.gz", [*harm, *REVIEWS])
    before = sorted(tmp_path.rglob("*"))
    assert len(guarded(lambda path: imdb(path, ALL), path)) == 3
    members: dict[str, str | bytes] = {"../escaped": "harm", "/absolute": "harm", "text8": TEXT}
    bad = zipped(folder / "a.zip", members)
    assert guarded(of(99), bad) == [TEXT.strip()]
    assert sorted(tmp_path.rglob("*")) == sorted([*before, bad])
    assert not Path("/absolute").exists()


def reviews(path: Path) -> Iterator[str]:
    return imdb(path, ALL)


def test_an_archive_that_is_no_dataset(tmp_path: Path) -> None:
    path = tarred(tmp_path / "a.tar.gz", [("readme.txt", b"none")])
    assert refusal(reviews, path) == "PATH: no review is in it; it must be aclImdb_v1.tar.gz"
    (tmp_path / "b.tar.gz").write_text("none")
    assert refusal(reviews, tmp_path / "b.tar.gz").startswith("PATH: cannot be read (Not a gzip")
    path = tarred(tmp_path / "c.tar.gz", [("aclImdb/train/pos/1_9.txt", b"caf\xe9")])
    assert refusal(reviews, path) == ("PATH: aclImdb/train/pos/1_9.txt: byte 3 (0xe9) is not UTF-8")
    data = tarred(tmp_path / "d.tar.gz", REVIEWS).read_bytes()
    (tmp_path / "d.tar.gz").write_bytes(data[: len(data) // 2])
    assert refusal(reviews, tmp_path / "d.tar.gz").startswith("PATH: cannot be read (")
    (tmp_path / "e.tar.gz").write_bytes(data[:-8] + bytes(8))
    assert refusal(reviews, tmp_path / "e.tar.gz").startswith("PATH: cannot be read (CRC check")


def bomb(path: Path, member: bytes, zeros: int) -> Path:
    """A tar archive of one header and so many zeros, which gzip packs to a thousandth."""
    packer = zlib.compressobj(1, wbits=31)
    with path.open("wb") as file:
        file.write(packer.compress(member))
        for _ in range(zeros >> 20):
            file.write(packer.compress(bytes(1 << 20)))
        file.write(packer.flush())
    return path


SPENT = """
import re, sys
from pathlib import Path
from pipeline.corpora.archives import imdb
from w2v.errors import InputError
def peak():  # a process takes over the peak that getrusage tells from the one that started it
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
try:
    print(list(imdb(Path(sys.argv[1]), ("train",))))
except InputError as error:
    print(str(error).replace(sys.argv[1], "PATH"))
print((peak() - before) >> 10)
"""


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_bomb_is_refused_in_little_memory(tmp_path: Path, kind: bytes) -> None:
    header = tarfile.TarInfo("aclImdb/train/pos/1_1.txt")
    header.type, header.size = kind, 1 << 30
    path = bomb(tmp_path / "a.tar.gz", header.tobuf(tarfile.USTAR_FORMAT), 1 << 28)
    result = subprocess.run(
        [sys.executable, "-c", SPENT, str(path)], cwd=ROOT, capture_output=True, text=True
    )
    line, mebibytes = result.stdout.strip().split("\n")
    assert line == (
        "PATH: aclImdb/train/pos/1_1.txt is longer than 1048576 bytes"
        if kind == tarfile.REGTYPE
        else "PATH: a member is larger than 67108864 bytes"
    )
    assert int(mebibytes) < 200


def test_memory_does_not_grow_with_the_number_of_members(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for number in range(20_000):
            member = tarfile.TarInfo(f"aclImdb/train/pos/{number}_9.txt")
            member.size = 4
            archive.addfile(member, io.BytesIO(b"fine"))
    tracemalloc.start()
    assert sum(1 for _ in imdb(path, ALL)) == 20_000
    spent = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert spent < 4 << 20, "a list of the members takes ten times as much"


# Where an archive comes from


def source_of(site: Site, folder: Path, path: str | None = None) -> Named:
    digest = hashlib.sha256(site.content).hexdigest()
    return Named("sst", path, site.url, digest, folder, sst, ("a",), lambda _: None)


def test_an_archive_is_fetched_when_its_text_is_wanted(tmp_path: Path) -> None:
    content = zipped(tmp_path / "a.zip", {"x/datasetSentences.txt": TABLE}).read_bytes()
    folder = tmp_path / "corpora"
    with serving(Site(content)) as site:
        source = source_of(site, folder)
        assert source.fingerprint() == [hashlib.sha256(content).hexdigest(), "a"]
        assert site.asked == []
        assert list(source.documents()) == ROWS
        copy = source_of(site, folder, str(tmp_path / "a.zip"))
        assert copy.fingerprint() == source.fingerprint()
        assert site.asked == [None]
    assert (folder / "archive.bin").read_bytes() == content


def test_without_a_network_one_line_says_what_to_fetch(tmp_path: Path) -> None:
    with serving(Site(b"", status=503)) as site:
        source = source_of(site, tmp_path)
        with pytest.raises(InputError) as refused:
            list(source.documents())
        assert str(refused.value) == (
            f"corpus=sst: the download failed (HTTP status 503); fetch {site.url} to "
            f"{tmp_path}/archive.bin (SHA-256 {source.sha256}), or give corpus.path"
        )
        with pytest.raises(InputError) as refused:
            source_of(site, tmp_path, "no.zip").fingerprint()
    assert str(refused.value) == "corpus.path=no.zip: no such file; see conf/corpus/sst.yaml"
