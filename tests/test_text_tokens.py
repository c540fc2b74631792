"""Test `Text` and the files of a corpus: reading, batches, shuffling, and held-out documents."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from w2v.text import tokens
from w2v.text.tokens import (
    ArrayWriter,
    Text,
    Words,
    cut,
    open_text,
)
from w2v.training.bootstrap import bootstrap_sample
from w2v.training.heldout import hold_out, holds_out_passage


def documents_of(batch: Words) -> list[NDArray[np.int32]]:
    """Return the word ids of each document of a batch."""
    return np.split(batch.ids, np.flatnonzero(np.diff(batch.documents)) + 1)


steady = settings(derandomize=True, deadline=None, max_examples=50)


# ArrayWriter


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32])
@pytest.mark.parametrize("lengths", [[], [0], [3], [1, 0, 9, 99_990], [12_345] * 9])
def test_a_written_array_equals_what_numpy_saves(
    tmp_path: Path, dtype: type[np.generic], lengths: list[int]
) -> None:
    whole = np.arange(sum(lengths)).astype(dtype)
    writer = ArrayWriter(tmp_path / "grown.npy", dtype)
    for end, length in zip(np.cumsum(lengths), lengths, strict=True):
        writer.append(whole[end - length : end])
    writer.close()
    np.save(tmp_path / "saved.npy", whole)
    assert (tmp_path / "grown.npy").read_bytes() == (tmp_path / "saved.npy").read_bytes()
    if len(whole):
        mapped = np.load(tmp_path / "grown.npy", mmap_mode="r", allow_pickle=False)
        assert isinstance(mapped, np.memmap)
        np.testing.assert_array_equal(mapped, whole)


def test_blocks_are_converted_to_the_dtype_of_the_file(tmp_path: Path) -> None:
    writer = ArrayWriter(tmp_path / "array.npy", np.int32)
    writer.append(np.array([1, 2], np.int64))
    writer.close()
    loaded = np.load(tmp_path / "array.npy", allow_pickle=False)
    assert (loaded.dtype, loaded.tolist()) == (np.int32, [1, 2])


# Text

Spans = NDArray[np.int64]


@st.composite
def texts(draw: st.DrawFn) -> Text:
    """Draw a random text in which no token occurs twice; some may not be in the vocabulary."""
    lengths = draw(st.lists(st.integers(0, 30), max_size=12))
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    spans = np.stack([offsets[:-1], offsets[1:]], axis=1)
    chosen = draw(st.lists(st.booleans(), min_size=len(spans), max_size=len(spans)))
    spans = spans[np.array(chosen, bool)]
    if draw(st.booleans()):
        spans = spans[np.array(draw(st.permutations(range(len(spans)))), int)]
    ids = np.arange(sum(lengths), dtype=np.int32)
    if draw(st.booleans()):
        ids[draw(st.integers(0, 3)) :: 3] = -1
    return Text(np.arange(sum(lengths), dtype=np.int32), ids, spans)


def plain(text: Text) -> list[list[int]]:
    """Return the word ids of each document of a text, by plain loops; -1 is an unknown word."""
    return [
        [int(text.ids[text.tokens[at]]) for at in range(start, end)]
        for start, end in text.spans.tolist()
    ]


def known(documents: list[list[int]]) -> list[list[int]]:
    return [[word for word in document if word >= 0] for document in documents]


def flat(documents: list[list[int]]) -> list[int]:
    return [word for document in documents for word in document]


@steady
@given(texts())
def test_reading_gives_the_known_words_and_their_documents(text: Text) -> None:
    batch = text.read()
    documents = known(plain(text))
    assert batch.ids.tolist() == flat(documents)
    assert batch.documents.tolist() == [
        number for number, document in enumerate(documents) for _ in document
    ]
    assert batch.ids.dtype == np.int32
    assert batch.documents.dtype == np.int32
    assert text.size == sum(map(len, plain(text)))
    assert text.words() == len(batch.ids)
    if len(batch.ids):
        split = [document.tolist() for document in documents_of(batch)]
        assert split == [document for document in documents if document]


@steady
@given(texts(), st.integers(1, 40))
def test_cutting_keeps_every_token_and_joins_no_documents(text: Text, size: int) -> None:
    parts = []
    for start, end in text.spans.tolist():
        begins = range(start, max(end, start + 1), size)
        parts += [[begin, min(begin + size, end)] for begin in begins]
    assert cut(text.spans, size).tolist() == parts


@steady
@given(texts(), st.integers(1, 40))
def test_shards_hold_every_token_once_in_order(text: Text, size: int) -> None:
    shards = text.shards(size)
    assert flat([word for shard in shards for word in plain(shard)]) == flat(plain(text))
    assert all(shard.size < 2 * size for shard in shards)
    assert len(shards) <= max(1, math.ceil(text.size / size))
    if text.size:
        assert all(shard.size for shard in shards)
    else:
        assert len(shards) == 1
    # A window lies within a document, so no document may hold words of two.
    number = {word: at for at, document in enumerate(plain(text)) for word in document}
    for shard in shards:
        for document in documents_of(shard.read()):
            assert len({number[word] for word in document.tolist()}) <= 1
    shorter = all(length <= size for length in map(len, plain(text)))
    assert sum(len(shard.spans) for shard in shards) == len(text.spans) or not shorter


def test_counting_words_reads_little_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    spans = np.array([[0, 5], [5, 12], [12, 20]])
    ids = np.array([0, -1] * 10, np.int32)
    text = Text(np.arange(20, dtype=np.int32), ids, spans)
    read: list[int] = []
    monkeypatch.setattr(tokens, "SHARD_TOKENS", 4)
    whole = Text._read_tokens

    def watched(self: Text) -> NDArray[np.int32]:
        read.append(self.size)
        return whole(self)

    monkeypatch.setattr(Text, "_read_tokens", watched)
    assert text.words() == 10
    assert len(read) > 1
    assert max(read) < 8


@steady
@given(texts(), st.integers(0, 9))
def test_shuffling_permutes_the_documents(text: Text, seed: int) -> None:
    shuffled = text.shuffled(np.random.default_rng(seed))
    assert sorted(shuffled.spans.tolist()) == sorted(text.spans.tolist())
    again = text.shuffled(np.random.default_rng(seed))
    assert shuffled.spans.tolist() == again.spans.tolist()


def test_shuffling_depends_on_the_generator() -> None:
    spans = np.stack([np.arange(100), np.arange(100) + 1], axis=1)
    text = Text(np.arange(100, dtype=np.int32), np.arange(100, dtype=np.int32), spans)
    orders = {
        tuple(text.shuffled(np.random.default_rng(seed)).read().ids.tolist()) for seed in range(3)
    }
    assert len(orders) == 3
    assert tuple(range(100)) not in orders


def test_a_bootstrap_sample_draws_documents_with_replacement() -> None:
    tokens = np.arange(300, dtype=np.int32)
    offsets = np.concatenate([[0], np.sort(np.random.default_rng(9).integers(0, 301, 99)), [300]])
    text = Text(tokens, tokens, np.stack([offsets[:-1], offsets[1:]], axis=1))
    samples = [bootstrap_sample(text, np.random.default_rng(seed)) for seed in range(200)]
    documents = {tuple(span) for span in text.spans.tolist()}
    for sample in samples:
        assert sample.tokens is tokens
        assert sample.spans.shape == text.spans.shape
        assert {tuple(span) for span in sample.spans.tolist()} <= documents
    # Of 100 documents, a sample has 100 (1 - 0.99 ** 100) = 63.4 different ones on average.
    # Empty documents may have equal spans, so only documents with words are counted.
    full = {start for start, end in documents if end > start}
    drawn = [len({int(s) for s, e in sample.spans if e > s}) / len(full) for sample in samples]
    assert np.mean(drawn) == pytest.approx(1 - 0.99**100, abs=0.01)
    again = bootstrap_sample(text, np.random.default_rng(0)).spans
    assert samples[0].spans.tolist() == again.tolist() != samples[1].spans.tolist()


def test_an_opened_corpus_is_memory_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "tokens.npy", np.array([0, 1, 0, 2], np.int32))
    np.save(tmp_path / "offsets.npy", np.array([0, 3, 3, 4]))
    text = open_text(tmp_path, np.array([7, -1, 5], np.int32))
    assert isinstance(text.tokens, np.memmap)
    assert plain(text) == [[7, -1, 7], [], [5]]
    assert text.read().ids.tolist() == [7, 7, 5]
    assert text.read().documents.tolist() == [0, 0, 2]


# hold_out


@steady
@given(texts(), st.sampled_from([0.0, 0.01, 0.1, 0.3, 0.5, 0.99]), st.integers(0, 5))
def test_each_document_is_either_held_out_or_for_training(
    text: Text, fraction: float, seed: int
) -> None:
    assume(not holds_out_passage(len(text.spans), fraction))
    train, held = hold_out(text, fraction, np.random.default_rng(seed))
    assert len(held.spans) == round(fraction * len(text.spans))
    documents = text.spans.tolist()
    both = [span for part in (train, held) for span in part.spans.tolist()]
    assert sorted(both) == sorted(documents)
    for part in (train, held):
        spans = iter(documents)  # the order stays that of the text
        assert all(span in spans for span in part.spans.tolist())
    again = hold_out(text, fraction, np.random.default_rng(seed))
    assert [part.spans.tolist() for part in again] == [train.spans.tolist(), held.spans.tolist()]


def test_held_out_documents_come_from_the_whole_text() -> None:
    spans = np.stack([np.arange(1000), np.arange(1000) + 1], axis=1)
    text = Text(np.arange(1000, dtype=np.int32), np.arange(1000, dtype=np.int32), spans)
    chosen = [hold_out(text, 0.1, np.random.default_rng(seed))[1].spans for seed in range(2)]
    assert chosen[0].tolist() != chosen[1].tolist()
    assert {int(start) // 250 for start in chosen[0][:, 0]} == {0, 1, 2, 3}


@steady
@given(texts(), st.sampled_from([0.01, 0.1, 0.4]), st.integers(0, 5))
def test_a_passage_is_held_out_of_few_documents(text: Text, fraction: float, seed: int) -> None:
    assume(text.size > 0 and holds_out_passage(len(text.spans), fraction))
    train, held = hold_out(text, fraction, np.random.default_rng(seed))
    assert held.size == max(round(fraction * text.size), min(100, text.size // 10))
    positions = [np.arange(*span) for part in (train, held) for span in part.spans]
    every = [np.arange(*span) for span in text.spans]
    assert sorted(np.concatenate(positions)) == sorted(np.concatenate(every))
    for span in [*train.spans.tolist(), *held.spans.tolist()]:  # no document reaches over a cut
        assert any(first <= span[0] <= span[1] <= end for first, end in text.spans.tolist())


def test_the_passage_is_one_run_of_words_at_a_random_place() -> None:
    numbers = np.arange(8000, dtype=np.int32)
    text = Text(numbers, numbers, np.arange(0, 8001, 1000).repeat(2)[1:-1].reshape(8, 2))
    firsts = set()
    for seed in range(3):
        train, held = hold_out(text, 0.025, np.random.default_rng(seed))
        ids = held.read().ids
        assert ids.tolist() == list(range(ids[0], ids[0] + 200))
        assert (len(train.spans), train.size) == (8 + 2 - len(held.spans), 7800)
        firsts.add(int(ids[0]))
    assert len(firsts) == 3


def test_nothing_is_held_out_of_three_words() -> None:
    text = Text(np.arange(3, dtype=np.int32), np.arange(3, dtype=np.int32), np.array([[0, 3]]))
    train, held = hold_out(text, 0.1, np.random.default_rng(0))
    assert (train.size, held.size) == (3, 0)
