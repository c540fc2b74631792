"""Documents that are lists of tokens, or that a function of the caller splits into tokens."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NoReturn

import numpy as np

from w2v.errors import InputError
from w2v.text.blocks import Block, Numbering, TokenizedBlock
from w2v.text.sources import Source, document_texts, read_blocks
from w2v.text.tokens import NOT_A_TOKEN

BLOCK_TOKENS = 1 << 19
"""A block of documents ends when it has at least this many tokens."""


class TokenLists:
    """Documents that are lists of tokens; the tokens are used unchanged.

    A `TokenLists` is not a `w2v.text.sources.Source`, because it has no text.

    Parameters
    ----------
    lists
        An iterable of documents, each an iterable of tokens (strings). If it is an iterator, the
        documents can be read only once.
    """

    def __init__(self, lists: Iterable[Any]) -> None:
        self.lists = lists

    def tokenized(self, limit: int | None = None) -> Iterator[tuple[Block, TokenizedBlock]]:
        """Yield the documents, which are lists of tokens, in tokenized blocks.

        Parameters
        ----------
        limit
            Stop after this many documents that are not empty; None: read all.

        Yields
        ------
        block : Block
            A block without text, which only says how many documents there are.
        tokenized : TokenizedBlock
            The tokens of the documents.

        Raises
        ------
        InputError
            A document is a string, bytes or a mapping, or is not iterable; or a token is not a
            string, is empty, or holds white space or an unpaired surrogate.
        """
        lists: list[list[Any]] = []
        size = filled = before = 0
        for number, document in enumerate(self.lists, start=1):
            tokens = document if type(document) is list else list_of(document, number)
            lists.append(tokens)
            size += len(tokens)
            filled += bool(tokens)
            if size >= BLOCK_TOKENS or filled == limit:
                yield number_types(lists, before)
                lists, size, before = [], 0, number
            if filled == limit:
                return
        if lists:
            yield number_types(lists, before)


class SplitTexts:
    """Texts that a function of the caller splits into tokens; the tokens are used unchanged.

    Parameters
    ----------
    source
        The documents.
    split
        A function that takes the text of a document, without the line end after it, and returns an
        iterable of tokens. It is not called for documents of only white space.
    """

    def __init__(self, source: Source, split: Callable[[str], Iterable[str]]) -> None:
        self.source = source
        self.split = split

    def tokenized(self, limit: int | None = None) -> Iterator[tuple[Block, TokenizedBlock]]:
        """Yield the documents in blocks; with each block, its tokens, made by the function `split`.

        Parameters
        ----------
        limit
            Tokenize only this many documents, not counting those of only white space; None: all.
            Further documents in the last block are yielded, but without tokens.

        Raises
        ------
        InputError
            A document cannot be read; `split` returns a string, bytes, a mapping, or something that
            is not iterable; or a token is not a string, is empty, or holds white space or an
            unpaired surrogate.
        """
        before = count = 0
        for block in read_blocks(self.source, None, limit):
            lists: list[list[Any]] = []
            filled = []
            for text in document_texts(block):
                filled.append(bool(text) and not text.isspace())
                line = text.removesuffix("\n").removesuffix("\r")
                wanted = filled[-1] and (limit is None or count < limit)
                count += wanted
                number = before + len(filled)
                lists.append(self._tokens(line, number) if wanted else [])
            found = number_types(lists, before)[1]
            yield block, found._replace(filled=np.array(filled, np.bool_))
            before += len(filled)

    def _tokens(self, text: str, number: int) -> list[Any]:
        """Return the tokens that the caller's function finds in a text.

        If the function raises an error, a note with the `number` of the document is added to it.
        """
        try:
            return list_of(self.split(text), number)
        except Exception as error:
            error.add_note(f"in document {number}, which begins {text[:40]!r}")
            raise


def list_of(document: Any, number: int) -> list[Any]:
    """Return a document, which must be an iterable of tokens, as a list.

    Parameters
    ----------
    number
        The number of the document, from 1, for the error message.

    Raises
    ------
    InputError
        The document is a string, bytes or a mapping, or is not iterable.
    """
    if isinstance(document, str | bytes | Mapping) or not isinstance(document, Iterable):
        raise InputError(
            f"documents: document {number} is {shown(document)}; a list of tokens is needed, as "
            "documents are all texts or all lists"
        )
    return list(document)


def number_types(lists: list[list[Any]], before: int) -> tuple[Block, TokenizedBlock]:
    """Replace the tokens of some documents by ids of their types (distinct tokens).

    Types are numbered by first appearance.

    Parameters
    ----------
    lists
        The tokens of each document.
    before
        The number of documents before these, for error messages.

    Returns
    -------
    block, tokenized
        A block without text, which only says how many documents there are, and the tokens as ids.

    Raises
    ------
    InputError
        A token is not a string, is empty, or holds white space or an unpaired surrogate.
    """
    numbering = Numbering()
    lengths = np.fromiter(map(len, lists), np.int64, len(lists))
    try:
        numbers = map(numbering.__getitem__, chain.from_iterable(lists))
        ids = np.fromiter(numbers, np.int32, int(lengths.sum()))
        text = "\n".join(numbering)
        lines = f"{text}\n".encode() if numbering else b""
    except (TypeError, UnicodeEncodeError):  # a token is no string, or has an unpaired surrogate
        refuse_token(lists, before)
    # Both ways of splitting give the same list if no token is empty or holds white space.
    if text.split() != (text.split("\n") if numbering else []):
        refuse_token(lists, before)
    block = Block(b"", np.zeros(len(lists), np.int64))
    return block, TokenizedBlock(ids, np.cumsum(lengths), lengths > 0, lines, len(numbering))


def is_token(token: object) -> bool:
    """Return whether an object can be a token.

    A token is a string that is not empty and holds no white space and no unpaired surrogate.
    """
    return isinstance(token, str) and NOT_A_TOKEN.search(token) is None


def refuse_token(lists: list[list[Any]], before: int) -> NoReturn:
    """Raise an `InputError` that names the first invalid token.

    Parameters
    ----------
    lists
        The tokens of each document; at least one token is invalid.
    before
        The number of documents before these, for the message.
    """
    number, token = next(
        (number, token)
        for number, tokens in enumerate(lists, start=before + 1)
        for token in tokens
        if not is_token(token)
    )
    raise InputError(
        f"documents: document {number} holds the token {shown(token)}; a token is a string of at "
        "least one character without white space"
    )


def shown(value: object) -> str:
    """Return the `repr` of a value for an error message, on one line of at most 60 characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:59]}…"
