"""Test how a text is tokenized and written as a corpus, and what happens with faulty texts.

Neither compression nor the number of files, blocks or threads may change the corpus.
"""

import bz2
import gzip
import lzma
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from tests import naive
from tests.test_text_tokenizer import HARD, texts
from w2v.errors import InputError
from w2v.text import corpus, scanner, sources
from w2v.text.blocks import Block, TokenizedBlock
from w2v.text.corpus import CorpusSize, write_corpus
from w2v.text.sources import Files
from w2v.text.tokenizer import Tokenizer, Whitespace, Words
from w2v.text.tokens import ArrayWriter, read_types

steady = settings(
    derandomize=True, deadline=None, max_examples=40, phases=[Phase.explicit, Phase.generate]
)
FILES = ("tokens.npy", "offsets.npy", "types.txt", "counts.npy")


@dataclass(frozen=True)
class Given:
    """A source of documents that are in memory."""

    texts: list[str]

    def documents(self) -> Iterator[str]:
        return iter(self.texts)

    def fingerprint(self) -> Any:
        return self.texts


def expected(documents: list[list[str]]) -> dict[str, Any]:
    """Return what the files of a tokenized corpus must contain, computed in plain Python.

    `documents` are lists of tokens. The result has, by name, the token ids, the offsets of the
    documents in them, the different tokens (types), and the count of each.
    """
    counts: dict[str, int] = {}
    for document in documents:
        for word in document:
            counts[word] = counts.get(word, 0) + 1
    types = list(counts)
    numbers = {word: number for number, word in enumerate(types)}
    return {
        "tokens": [numbers[word] for document in documents for word in document],
        "offsets": [0, *accumulate(map(len, documents))],
        "types": types,
        "counts": list(counts.values()),
    }


def load(folder: Path) -> dict[str, Any]:
    arrays = {
        name: np.load(folder / f"{name}.npy", allow_pickle=False)
        for name in ("tokens", "offsets", "counts")
    }
    assert {name: array.dtype for name, array in arrays.items()} == {
        "tokens": np.int32,
        "offsets": np.int64,
        "counts": np.int64,
    }
    types, counts = read_types(folder)
    assert counts.tolist() == arrays["counts"].tolist()
    return {**{name: array.tolist() for name, array in arrays.items()}, "types": types}


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


# For each way to tokenize: how much text counts as small, and the number of workers.
WAYS = {"plain": (1 << 40, 1), "compiled": (0, 1), "threads": (0, 2)}


@pytest.mark.parametrize("way", WAYS)
@steady
@given(
    st.lists(texts | st.sampled_from(["", " ", "\u2028"]), min_size=1, max_size=8),
    st.integers(1, 40),
    st.none() | st.integers(1, 6),
    st.booleans(),
    st.sampled_from([Words(hyphens=True), Whitespace(False, drop_invisible=True)]),
)
@example(["one", " ", "two"], 1, None, True, Words())
@example(["don’t Do\u00adn\u00ad’\u00adt \u00ad a\u00ad", "’a"], 1, None, True, Words())
@example(["the The THE e\u0301 E\u0301", "", "é a'b b"], 1, 2, True, Words())
def test_a_corpus_equals_that_of_plain_python(
    way: str,
    documents: list[str],
    block: int,
    limit: int | None,
    lines: bool,
    tokenizer: Tokenizer,
) -> None:
    if lines:
        documents = [text.replace("\n", " ") for text in documents]
    filled = [text for text in documents if text.strip()][:limit]
    oracle = naive.words if isinstance(tokenizer, Words) else naive.whitespace
    choice = {k: v for k, v in asdict(tokenizer).items() if k not in ("pattern", "function")}
    tokens = [oracle(text, **choice) for text in filled]
    seen: list[tuple[int, int, float | None]] = []
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        small, workers = WAYS[way]
        patch.setattr(corpus, "SMALL_BYTES", small)
        patch.setattr(sources, "BLOCK_BYTES", block)
        patch.setattr(sources, "READ_BYTES", max(1, block // 2))
        folder = Path(name)
        source: Any = Given(documents)
        if lines:
            (folder / "text.txt").write_bytes("\n".join(documents).encode())
            if documents[0].startswith("\ufeff"):
                return  # a byte order mark has its own test
            source = Files([str(folder / "text.txt")])
        arguments = (folder, source, tokenizer, limit, workers, lambda *of: seen.append(of))
        if not any(tokens):
            with pytest.raises(InputError, match=r"no document was found|holds no word"):
                write_corpus(*arguments)
            return
        size = write_corpus(*arguments)
        made = load(folder)
    assert made == expected(tokens)
    assert (size.documents, size.tokens) == (len(filled), sum(map(len, tokens)))
    assert size.types == len(made["types"])
    assert size.longest_document == max(map(len, tokens))
    if limit is None:
        assert size.empty_documents >= len(documents) - len(filled) - lines
        joined = ("\n" if lines else "").join(documents)
        assert size.bytes == len(joined.encode())
        assert size.nul_bytes == joined.count("\0")
        assert size.crlf == joined.count("\r\n")
    assert seen[-1][:2] == (size.documents, size.bytes)
    assert all(early[:2] <= late[:2] for early, late in pairwise(seen))


LINES = [f"Line {number} of the text, naïve words w{number} and don't." for number in range(300)]


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small texts be tokenized as large ones are: by compiled code, and in several blocks."""
    monkeypatch.setattr(corpus, "SMALL_BYTES", 0)
    monkeypatch.setattr(sources, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(sources, "READ_BYTES", 300)


@pytest.mark.usefixtures("blocks")
def test_compression_and_division_of_the_text_do_not_change_a_byte(tmp_path: Path) -> None:
    text = "".join(f"{line}\n" for line in LINES).encode()
    ways: dict[str, list[bytes]] = {
        "whole.txt": [text],
        "compressed.gz": [gzip.compress(text)],
        "compressed.bz2": [bz2.compress(text)],
        "compressed.xz": [lzma.compress(text)],
        "two.gz": [gzip.compress(text[:5000]) + gzip.compress(text[5000:])],
        "parts.txt": [f"{line}\n".encode() for line in LINES],
        "unended.txt": ["\n".join(LINES[:150]).encode(), "\n".join(LINES[150:]).encode()],
        "empty.txt": [b"", text, b"", b"\n"],
        "crlf.txt": [text.replace(b"\n", b"\r\n")],
    }
    results = {}
    for name, files in ways.items():
        paths = []
        for number, data in enumerate(files):
            paths.append(tmp_path / f"{number}{name}")
            paths[-1].write_bytes(data)
        for workers in (1, 2):
            out = tmp_path / f"{name}-{workers}"
            out.mkdir()
            write_corpus(out, Files(list(map(str, paths))), Words(), None, workers)
            results[name, workers] = content(out)
    assert all(result == results["whole.txt", 1] for result in results.values())


@pytest.mark.usefixtures("blocks")
def test_a_document_longer_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(" ".join(LINES) + "x" * 5000 + " end")  # also a token longer than a block
    size = write_corpus(tmp_path, Files([str(path)]), Words(), None, 2)
    tokens = naive.words(path.read_text())
    assert load(tmp_path) == expected([tokens])
    assert (size.documents, size.longest_document) == (1, len(tokens))
    size = write_corpus(tmp_path, Files([str(path)] * 2, unit="file"), Words(), None, 2)
    assert load(tmp_path) == expected([tokens, tokens])


@pytest.mark.usefixtures("blocks")
def test_a_document_with_blocks_of_white_space(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    gap = " " * 5000
    path.write_text(f"{gap}one{gap}two{gap}\n{gap}\n{gap}three{gap}")
    size = write_corpus(tmp_path, Files([str(path)]), Words(), None, 2)
    assert load(tmp_path) == expected([["one", "two"], ["three"]])
    assert (size.documents, size.empty_documents) == (2, 1)
    for words in (599, 600, 601):  # with 600, a block ends exactly at the end of the file
        path.write_text("a " * words)
        size = write_corpus(tmp_path, Files([str(path)] * 2), Words(), None, 2)
        assert load(tmp_path) == expected([["a"] * words] * 2)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("tokenizer", [Words(hyphens=True), Whitespace(False, True, True, True)])
def test_difficult_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, tokenizer: Tokenizer
) -> None:
    small, workers = WAYS[way]
    monkeypatch.setattr(corpus, "SMALL_BYTES", small)
    monkeypatch.setattr(sources, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(sources, "READ_BYTES", 300)
    random = np.random.default_rng(0)
    text = "".join(random.choice(list(HARD), 30_000))
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode())
    write_corpus(tmp_path, Files([str(path)]), tokenizer, None, workers)
    lines = [line for line in text.split("\n") if line.strip()]
    oracle = naive.words if isinstance(tokenizer, Words) else naive.whitespace
    choice = {k: v for k, v in asdict(tokenizer).items() if k not in ("pattern", "function")}
    tokens = [oracle(line, **choice) for line in lines]
    assert len({word for line in tokens for word in line}) > 2000
    assert load(tmp_path) == expected(tokens)


def test_blocks_stay_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: None) -> None:
    sizes: list[int] = []
    tokenize = corpus.tokenize_compiled

    def watched(tokenizer: Tokenizer, block: Block) -> TokenizedBlock:
        sizes.append(len(block.data))
        return tokenize(tokenizer, block)

    monkeypatch.setattr(corpus, "tokenize_compiled", watched)
    path = tmp_path / "text.txt"
    # The text can only be cut at Chinese full stops: it has no line ends and no white space.
    path.write_text("".join(f"第{number}句。" for number in range(3000)))
    size = write_corpus(tmp_path, Files([str(path)]), Words(), None, 2)
    assert size.tokens == 3000
    assert max(sizes) < 1000 + 2 * 300


@pytest.mark.parametrize("way", WAYS)
def test_faults_of_the_text_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    small, workers = WAYS[way]
    monkeypatch.setattr(corpus, "SMALL_BYTES", small)
    path = tmp_path / "text.txt"
    path.write_bytes(
        b"\xef\xbb\xbfone two\r\n\r\n  \n\nthree\0four \xff\xfe five\r\nsix \xe2\x82 seven\n" * 2
    )
    size = write_corpus(tmp_path, Files([str(path)] * 2, errors="replace"), Words(), None, workers)
    assert size == CorpusSize(
        documents=12,
        bytes=2 * (path.stat().st_size + 2 * 5 - 3),
        tokens=28,
        types=7,
        empty_documents=12,
        longest_document=3,
        invalid_utf8=12,
        nul_bytes=4,
        crlf=12,
        byte_order_marks=2,
        unsegmented=0,
    )
    words = ["one", "two", "three", "four", "five", "six", "seven"]
    assert load(tmp_path)["types"] == words


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("text", "unsegmented"),
    [
        ("我们今天去公园散步，天气非常好。很好\n我们今天去公园散步\n", 3),  # Chinese
        ("我们 今天 去 公园 散步 ， 天气 非常 好 。\n", 0),
        ("今日は公園へ散歩に行きました。コンピュータ\n", 2),  # Japanese
        ("วันนี้อากาศดีมาก ไปเที่ยว\n", 1),  # Thai
        ("ភាសាខ្មែរជាភាសាផ្លូវការ ភាសា\u200bខ្មែរ\n", 1),  # Khmer
        ("Donaudampfschifffahrtsgesellschaft 오늘날씨가정말좋습니다\n", 0),
    ],
)
def test_text_without_spaces_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, text: str, unsegmented: int
) -> None:
    small, workers = WAYS[way]
    monkeypatch.setattr(corpus, "SMALL_BYTES", small)
    path = tmp_path / "text.txt"
    path.write_text(text)
    size = write_corpus(tmp_path, Files([str(path)]), Words(), None, workers)
    assert size.unsegmented == unsegmented


def test_invalid_bytes_are_replaced_or_ignored(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"caf\xe9s \xffa\n")
    for errors, types in {"replace": ["caf", "s", "a"], "ignore": ["cafs", "a"]}.items():
        source = Files([str(path)], errors=errors)
        size = write_corpus(tmp_path, source, Words())
        assert (load(tmp_path)["types"], size.invalid_utf8) == (types, 2)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_fault_after_the_limit_does_not_matter(tmp_path: Path, workers: int) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("\n".join([*LINES, ""]).encode() + b"\xff\n")
    source = Files([str(path)])
    size = write_corpus(tmp_path, source, Words(), len(LINES), workers)
    assert size.documents == len(LINES)
    with pytest.raises(InputError, match=f"byte {path.stat().st_size - 2} "):
        write_corpus(tmp_path, source, Words(), None, workers)


def test_no_document_after_the_limit_is_read(tmp_path: Path) -> None:
    documents = iter(["a b", "c", "d"])

    class Once(Given):
        def documents(self) -> Iterator[str]:
            return documents

    assert write_corpus(tmp_path, Once([]), Words(), 2).documents == 2
    assert list(documents) == ["d"]


@pytest.mark.parametrize(
    ("documents", "line"),
    [
        ([], "the corpus is empty: no document was found"),
        ([" ", ""], "the corpus is empty: no document was found"),
        (
            ["?", "«!"],
            "the corpus holds no word: the tokenizer finds none in 2 documents of 4 bytes",
        ),
        (
            ["fine", "a half: \udc80"],
            "the document that begins 'a half: \\udc80' holds half of a surrogate pair "
            "(character 8), which UTF-8 cannot hold",
        ),
    ],
)
def test_a_corpus_without_tokens_is_refused(
    tmp_path: Path, documents: list[str], line: str
) -> None:
    with pytest.raises(InputError) as refusal:
        write_corpus(tmp_path, Given(documents), Words())
    assert str(refusal.value) == line


def test_an_error_of_the_source_leaves_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers: list[ArrayWriter] = []

    class Watched(ArrayWriter):
        def __init__(self, path: Path, dtype: type[np.generic]) -> None:
            super().__init__(path, dtype)
            writers.append(self)

    class Burning(Given):
        def documents(self) -> Iterator[str]:
            yield "a"
            raise InputError("the disk is on fire")

    monkeypatch.setattr(corpus, "ArrayWriter", Watched)
    monkeypatch.setattr(corpus, "SMALL_BYTES", 0)
    monkeypatch.setattr(sources, "BLOCK_BYTES", 1)
    with pytest.raises(InputError, match="on fire"):
        write_corpus(tmp_path, Burning([]), Words())
    assert [writer.file.closed for writer in writers] == [True, True]


# Custom tokenizers


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_custom_tokenizer_sees_whole_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool, workers: int
) -> None:
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text("def first(text):\n    return text.split('|')[:2]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    if large:
        monkeypatch.setattr(corpus, "SMALL_BYTES", 0)
        monkeypatch.setattr(sources, "BLOCK_BYTES", 10)
        monkeypatch.setattr(sources, "READ_BYTES", 3)
    documents = ["a|b|c", "long" * 50 + "|B", "b"]
    (tmp_path / "text.txt").write_text("\n".join(documents))
    source = Files(["text.txt"])
    write_corpus(tmp_path, source, Words(function=f"{name}.first"), None, workers)
    tokens = [document.lower().split("|")[:2] for document in documents]
    tokens[0] = ["a", "b"]
    assert load(tmp_path) == expected(tokens)


@pytest.mark.parametrize(
    "token", ["a b", " a", "\t", "a\r", "a\x85b", "a\u2028b", "\xa0", "a\x1cb"]
)
def test_a_token_with_white_space_is_refused(tmp_path: Path, token: str) -> None:
    with pytest.raises(InputError) as refusal:
        write_corpus(tmp_path, Given([f"fine|{token}|"]), Words(pattern=r"[^|]+"))
    assert str(refusal.value) == (
        f"pattern='[^|]+' made the token {token!r}; a token holds at least one character, "
        "no white space and no half of a surrogate pair"
    )


# The kernels


def test_a_growing_table_keeps_every_type() -> None:
    random = np.random.default_rng(0)
    table, oracle = scanner.CompiledTypeTable(), corpus.TypeTable()
    table.slots = np.zeros(4, np.uint64)
    table.lines, table.starts = np.empty(1, np.uint8), np.zeros(1, np.int64)
    table.counts = np.zeros(1, np.int64)
    for _ in range(20):
        numbers = random.integers(0, 40_000, 3000)
        words = [f"w{number}".encode() for number in numbers]
        lines = b"".join(b"%b\n" % word for word in words)
        ids = random.integers(0, len(words), 5000).astype(np.int32)
        same = oracle.add(lines, len(words), ids)
        np.testing.assert_array_equal(table.add(lines, len(words), ids.copy()), same)
    assert bytes(table.lines_of_types()) == bytes(oracle.lines_of_types())
    np.testing.assert_array_equal(table.totals(), oracle.totals())
    assert table.size > 30_000


def test_types_with_equal_hashes_are_distinguished() -> None:
    slots, lines = np.zeros(16, np.uint64), np.empty(100, np.uint8)
    starts, text = np.zeros(10, np.int64), np.frombuffer(b"abcabdabab", np.uint8)
    code = np.uint64(5)
    found = []
    size = 0
    for begin, end in [(0, 3), (3, 6), (0, 3), (6, 8), (8, 10), (3, 6)]:
        number = scanner.number(slots, lines, starts, size, text, begin, end, code)
        size += number == size
        found.append(number)
    assert found == [0, 1, 0, 2, 2, 1]
    assert lines[: starts[size]].tobytes() == b"abc\nabd\nab\n"
