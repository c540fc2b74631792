"""Open compressed files: gzip, bzip2, xz, Zstandard and zip."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from w2v.errors import InputError
from w2v.files import local_path

OPENERS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
"""For each suffix of a file name, the function that opens a compressed file for writing."""


class Streams(io.RawIOBase):
    """The decompressed bytes of a bzip2 or xz file, which consists of one or more streams.

    Zero bytes after a stream, which xz permits, are skipped. If what follows is not another valid
    stream (for example, a damaged one), an error is raised. `bz2.open` and `lzma.open`, in
    contrast, take such bytes for the end of the file, and drop all that comes after them.

    Parameters
    ----------
    file
        The compressed file, opened for reading.
    make
        Makes a decompressor for the next stream, as `bz2.BZ2Decompressor` does.
    """

    def __init__(self, file: IO[bytes], make: Callable[[], Any]) -> None:
        self._file, self._make, self._stream = file, make, make()

    def readable(self) -> bool:
        """Return True: bytes can be read from this object, as `io.BufferedReader` requires."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read decompressed bytes into `buffer`; return how many, which is 0 at the end only.

        If the compressed file is damaged, one of `UNPACK_ERRORS` is raised.
        """
        while True:
            data = b""
            if self._stream.eof:
                data = self._stream.unused_data.lstrip(b"\0")
                while not data:
                    read = self._file.read(COMPRESSED_BYTES)
                    if not read:
                        return 0
                    data = read.lstrip(b"\0")
                self._stream = self._make()
            elif self._stream.needs_input:
                data = self._file.read(COMPRESSED_BYTES)
                if not data:
                    raise EOFError(
                        "Compressed file ended before the end-of-stream marker was reached"
                    )
            if done := self._stream.decompress(data, len(buffer)):
                buffer[: len(done)] = done
                return len(done)


def _read_streams(make: Callable[[], Any], file: IO[bytes]) -> IO[bytes]:
    return cast(IO[bytes], io.BufferedReader(Streams(file, make), COMPRESSED_BYTES))


COMPRESSED_BYTES = 1 << 16
"""How much of a bzip2 or xz file is read and decompressed at a time."""

READERS: dict[str, Callable[[IO[bytes]], Any]] = {
    ".gz": gzip.open,
    ".bz2": partial(_read_streams, bz2.BZ2Decompressor),
    ".xz": partial(_read_streams, lzma.LZMADecompressor),
}
"""For each suffix of a file name, a function that takes an open file with this suffix and returns
a file of the decompressed bytes."""


@contextmanager
def zstandard_errors() -> Iterator[None]:
    """Context manager: if the block reads damaged Zstandard data, an `OSError` is raised.

    It replaces Zstandard's own error, whose module depends on the version of Python.
    """
    try:
        yield
    except Exception as error:
        if type(error).__name__ != "ZstdError":  # its module depends on Python's version
            raise
        raise OSError(str(error)) from None


class Decompressed(io.RawIOBase):
    """A decompressed file that also reports how much of the compressed file has been read.

    Parameters
    ----------
    raw
        The compressed file, opened for reading.
    decompressed
        A file of the decompressed bytes, which reads from `raw`.
    """

    def __init__(self, raw: IO[bytes], decompressed: Any) -> None:
        self.raw = raw
        self.decompressed = decompressed

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` decompressed bytes, or all if `size` is -1.

        If the compressed file is damaged, one of `UNPACK_ERRORS` is raised.
        """
        with zstandard_errors():
            data: bytes = self.decompressed.read(size)
        return data

    def readline(self, size: int | None = -1) -> bytes:
        """Read a decompressed line and its line feed: at most `size` bytes, or all if `size` is -1.

        If the compressed file is damaged, one of `UNPACK_ERRORS` is raised.
        """
        with zstandard_errors():
            line: bytes = self.decompressed.readline(size)
        return line

    def raw_position(self) -> int:
        """Return how many bytes of the compressed file have been read."""
        return self.raw.tell()

    def close(self) -> None:
        """Close the compressed and the decompressed file."""
        if not self.closed:
            self.decompressed.close()
            self.raw.close()
        super().close()


def open_raw(path: str | Path) -> IO[bytes]:
    """Open a local file for reading its bytes as stored, without decompressing them."""
    return local_path(path).open("rb")


def open_binary(path: str | Path) -> IO[bytes]:
    """Open a local file for reading; decompress it if its name ends in .gz, .bz2, .xz or .zst."""
    return decompressed(open_raw(path), str(path))


def decompressed(file: IO[bytes], name: str) -> IO[bytes]:
    """Return a file of the decompressed bytes of `file`, or `file` itself if not compressed.

    The file counts as compressed if its name, `name`, ends in .gz, .bz2, .xz or .zst, in lower or
    upper case.
    """
    suffix = Path(name).suffix.lower()
    if suffix in READERS:
        return cast(IO[bytes], Decompressed(file, READERS[suffix](file)))
    if suffix == ".zst":
        from smart_open.compression import compression_wrapper

        return cast(IO[bytes], Decompressed(file, compression_wrapper(file, "rb", ".zst")))
    return file


UNPACK_ERRORS = (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, RuntimeError)
"""What reading a damaged or encrypted compressed file raises."""

PACKED = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\0": ".xz"}
"""The usual suffix of gzip, bzip2 and xz files, by the first bytes of such a file."""

ZIP, ZSTANDARD = b"PK\x03\x04", b"\x28\xb5\x2f\xfd"
"""The first bytes of a zip archive, and those of a Zstandard file.

`unpacked` recognizes these two formats by these bytes, and the other formats by `PACKED`.
"""


def first_bytes(path: Path) -> bytes:
    """Return the first 8 bytes of a file (all if it has fewer), which can show its format.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


@contextmanager
def unpacked(path: Path) -> Iterator[tuple[IO[bytes], bool]]:
    """Context manager: open a file for reading, and decompress it if it is compressed.

    The first bytes show whether it is compressed. The formats are gzip, bzip2, xz, Zstandard and
    zip. A zip archive must hold exactly one file.

    Yields
    ------
    file : IO of bytes
        The file, opened for reading its decompressed bytes.
    compressed : bool
        Whether the file was compressed.

    Raises
    ------
    InputError
        The file cannot be opened, or the archive does not hold exactly one file.
    Exception
        One of `UNPACK_ERRORS`, here or while reading, if the compressed data is damaged or
        encrypted.
    """
    head = first_bytes(path)
    with ExitStack() as stack:
        if head.startswith(ZIP):
            archive = stack.enter_context(zipfile.ZipFile(path))
            names = [one.filename for one in archive.infolist() if not one.is_dir()]
            if len(names) != 1:
                raise InputError(
                    f"{path}: holds {len(names)} files ({', '.join(names[:5])}); unpack the one "
                    "that is meant"
                )
            yield stack.enter_context(archive.open(names[0])), True
        elif head.startswith(ZSTANDARD):
            from smart_open.compression import compression_wrapper

            raw = stack.enter_context(path.open("rb"))
            with zstandard_errors():
                yield stack.enter_context(compression_wrapper(raw, "rb", ".zst")), True
        else:
            raw = stack.enter_context(path.open("rb"))
            suffix = next((PACKED[magic] for magic in PACKED if head.startswith(magic)), None)
            yield stack.enter_context(READERS[suffix](raw)) if suffix else raw, suffix is not None
