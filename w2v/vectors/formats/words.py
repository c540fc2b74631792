"""Words in files: check the words to be written, and decode the words that are read."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.vectors.formats.file_reader import MAX_WORD


def check_words(words: Sequence[str], forbidden: str, name: str) -> None:
    """Check that words can be written to a file.

    Parameters
    ----------
    words
        Any words.
    forbidden
        Characters that a word must not contain, because they separate words in the file.
    name
        The name of the file, for messages.

    Raises
    ------
    InputError
        A word is empty, longer than 65,536 bytes, contains a forbidden character, or is not valid
        Unicode.
    """
    pattern = re.compile(f"[{re.escape(forbidden)}\ud800-\udfff]")
    for word in words:
        if not word or pattern.search(word) or len(word.encode()) > MAX_WORD:
            without = f" without any of {forbidden!r}" if forbidden else ""
            raise InputError(
                f"the word {word[:40]!r} cannot be written to {name}; a word there is Unicode "
                f"text of 1 to {MAX_WORD:,} bytes{without}"
            )


def check_encoding(encoding: str) -> None:
    """Raise an `InputError` if an encoding does not exist, or cannot decode the byte ``a``."""
    try:
        b"a".decode(encoding)
    except UnicodeDecodeError:
        raise InputError(
            f"encoding={encoding}: has characters of several bytes only; convert the file to UTF-8"
        ) from None
    except (LookupError, ValueError):
        raise InputError(
            f"encoding={encoding}: no such encoding; utf-8, latin-1 and cp1252 are the most common"
        ) from None


def require_finite(path: Path, words: Sequence[str], vectors: NDArray[np.float32]) -> None:
    """Raise an `InputError` if a vector contains NaN or an infinity.

    Row i of `vectors`, (words, d), is the vector of ``words[i]``. The message names the file `path`
    and the word of the first vector that is not finite.
    """
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        word = words[int(np.argmin(finite))]
        raise InputError(
            f"{path}: the vector of {word!r} holds NaN or an infinity or is no float32"
        )


def decode_words(
    path: Path,
    found: Sequence[bytes],
    vectors: NDArray[np.float32],
    encoding: str,
    notes: list[str],
) -> tuple[list[str], NDArray[np.intp]]:
    r"""Decode the words of a file; drop blank words and repetitions, and issue all warnings.

    Bytes that are invalid in the encoding become text such as ``\xe9``.

    Parameters
    ----------
    path
        The name of the file, for messages.
    vectors
        (words, d), the vectors of the words, only to check that they are finite.
    encoding
        Must have passed `check_encoding`.
    notes
        Further warnings to issue; new ones are appended.

    Returns
    -------
    words : list of str
        The words that are kept.
    rows : intp (words,)
        Their indices in `found`.

    Raises
    ------
    InputError
        A vector is not finite.

    Warns
    -----
    UserWarning
        Words are blank, repeated or not in the encoding, or there are `notes`.
    """
    words, undecoded = _decode(found, encoding)
    require_finite(path, words, vectors)
    # Bytes that are white space in Unicode alone, such as a no-break space, are a blank word, too.
    kept = [row for row, word in enumerate(words) if word.strip()]
    if len(kept) < len(words):
        notes.append(f"{len(words) - len(kept):,} words of white space are skipped")
    first = {words[row]: row for row in reversed(kept)}
    if len(first) < len(kept):
        notes.append(f"{len(kept) - len(first):,} repeated words; the first of each is kept")
        kept = sorted(first.values())
    if undecoded:
        notes.append(
            f"{len(undecoded):,} words are not {encoding}, such as {undecoded[0]!r}; their bytes "
            "became escapes; if the file has another encoding, such as latin-1, name it"
        )
    for note in notes:
        warnings.warn(f"{path}: {note}", stacklevel=4)
    return [words[row] for row in kept], np.array(kept, np.intp)


def _decode(found: Sequence[bytes], encoding: str) -> tuple[list[str], list[bytes]]:
    r"""Decode words; bytes that are invalid in the encoding become text such as ``\xe9``.

    Returns
    -------
    words : list of str
    undecoded : list of bytes
        The words with invalid bytes.
    """
    words, undecoded = [], []
    for word in found:
        try:
            words.append(word.decode(encoding))
        except UnicodeDecodeError:
            words.append(word.decode(encoding, "backslashreplace"))
            undecoded.append(word)
    return words, undecoded
