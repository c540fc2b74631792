"""Compute the SHA-256 of files, and cache it so that unchanged files are not read again.

As in git's index, a file is assumed to be unchanged if its size, inode, modification time and
status change time are those stored with its hash. A hash is not stored if the file was changed less
than `MARGIN` nanoseconds before it was read, because another change could leave the same times.
"""

import hashlib
import os
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from w2v.errors import InputError
from w2v.files import local_path

MARGIN = 2_000_000_000
"""The hash of a file that was changed less than this many nanoseconds ago is not stored.

FAT, the coarsest of the common file systems, stores the times of files in steps of 2 s.
"""

READ_BYTES = 1 << 20

OnRead = Callable[[int], None]
"""A progress callback. Its argument is the number of bytes processed since the last call."""


class FileHashes:
    """Computes the SHA-256 of files; takes those of unchanged files from a database.

    A file is assumed to be unchanged if its size, inode, modification time and status change time
    are those stored with its hash.

    Parameters
    ----------
    database
        The SQLite file of the hashes, created if needed; None: every file is read.
    trust
        Whether the stored hashes of unchanged files are used. Otherwise every file is read, and a
        warning is issued if an apparently unchanged file has another hash.

    Attributes
    ----------
    seen
        The SHA-256 of every file that was requested, by its path as given.
    """

    def __init__(self, database: Path | None = None, trust: bool = True) -> None:
        self.database = database
        self.trust = trust
        self.seen: dict[str, str] = {}

    def sha256(self, paths: Sequence[str | Path], on_read: OnRead = lambda _: None) -> list[str]:
        """Return the SHA-256 of each of several local files, in hexadecimal.

        New hashes are stored in the database, except those of files that were changed while they
        were read, or less than `MARGIN` nanoseconds before reading began.

        Parameters
        ----------
        on_read
            Progress callback. Its argument is the number of bytes processed since the last call;
            those of a file that need not be read count as well.

        Raises
        ------
        OSError
            A file cannot be read.
        """
        digests: list[str] = []
        new: list[tuple[bytes, str, str]] = []
        with self._opened() as connection:
            try:
                for path in paths:
                    digests.append(self._digest(path, connection, new, on_read))
                    self.seen[str(path)] = digests[-1]
            finally:
                if connection is not None and self.database is not None and new:
                    self._write(connection, new)
        return digests

    def _digest(
        self,
        path: str | Path,
        connection: sqlite3.Connection | None,
        new: list[tuple[bytes, str, str]],
        on_read: OnRead,
    ) -> str:
        """Return the SHA-256 of a file, from the database or by reading the file.

        Parameters
        ----------
        connection
            The open database of stored hashes; None if there is none.
        new
            A list of hashes that the caller will store. If the file's hash is not yet in the
            database, a tuple is appended: the path, the file's `stamp` and the SHA-256. Nothing is
            appended if the file was changed while it was read, or less than `MARGIN` nanoseconds
            before reading began.
        on_read
            Progress callback. Its argument is the number of bytes processed since the last call.
        """
        key = os.path.abspath(local_path(path))  # noqa: PTH100 (a Path cannot keep every name)
        started = time.time_ns()
        # Opened even if it is not read, because only then does NFS ask the server for the times.
        with open(key, "rb", buffering=0) as file:  # noqa: PTH123
            status = os.fstat(file.fileno())
            known = self._remembered(connection, os.fsencode(key), stamp(status))
            if known is not None and self.trust:
                on_read(status.st_size)
                return known
            whole = hashlib.sha256()
            while data := file.read(READ_BYTES):
                whole.update(data)
                on_read(len(data))
            after = os.fstat(file.fileno())
        digest = whole.hexdigest()
        if known is not None and known != digest:
            warnings.warn(
                f"{path}: its content is not what was read before, though its size and times are; "
                "results that were made since from its former content have the wrong key",
                stacklevel=2,
            )
        is_old = max(status.st_mtime_ns, status.st_ctime_ns) + MARGIN < started
        if is_old and stamp(after) == stamp(status) and known != digest:
            new.append((os.fsencode(key), stamp(status), digest))
        return digest

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection | None]:
        """Open the database of stored hashes during a ``with`` block, and yield the connection.

        None is yielded if there is no database, or if it cannot be used.
        """
        connection = None
        if self.database is not None:
            try:
                connection = self._connect(self.database)
            except (sqlite3.Error, OSError) as error:
                self._unusable(error)
        if connection is None:
            yield None
            return
        with closing(connection):
            yield connection

    @staticmethod
    def _connect(path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=10)
        try:
            connection.execute(
                "create table if not exists files "
                "(path blob primary key, stamp text, sha256 text) without rowid"
            )
        except BaseException:
            connection.close()
            raise
        return connection

    def _remembered(
        self, connection: sqlite3.Connection | None, key: bytes, current: str
    ) -> str | None:
        """Return the SHA-256 stored for a file with its current stamp; None if there is none.

        Parameters
        ----------
        connection
            The open database of stored hashes; None if there is none. Without it, or if reading it
            fails, the result is None.
        key
            The absolute path of the file, as bytes.
        current
            The `stamp` of the file: its current size, times and inode, as one text.
        """
        if connection is None or self.database is None:
            return None
        try:
            row = connection.execute(
                "select sha256 from files where path = ? and stamp = ?", (key, current)
            ).fetchone()
        except sqlite3.Error as error:
            self._unusable(error)
            return None
        return None if row is None else str(row[0])

    def _write(self, connection: sqlite3.Connection, rows: list[tuple[bytes, str, str]]) -> None:
        try:
            with connection:
                connection.executemany("insert or replace into files values (?, ?, ?)", rows)
        except sqlite3.Error as error:
            self._unusable(error)

    def _unusable(self, error: Exception) -> None:
        """Warn that the database of hashes cannot be used, and stop using it.

        If the database is damaged, it is deleted.
        """
        database, self.database = self.database, None
        then = "so files are read again"
        damaged = isinstance(error, sqlite3.DatabaseError)
        if database is not None and damaged and not isinstance(error, sqlite3.OperationalError):
            with suppress(OSError):
                database.unlink()
            then += ", and it is made anew"
        warnings.warn(f"{database}: cannot be used ({error}), {then}", stacklevel=2)


def stamp(status: os.stat_result) -> str:
    """Return a file's size, modification time, status change time and inode as one text.

    As long as this text stays the same, the file is assumed to be unchanged.
    """
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def content_sha256(paths: Sequence[Path], hashes: FileHashes | None = None) -> str:
    """Return a single SHA-256, in hexadecimal, of the content of several files and folders.

    For a folder, the names and contents of all files in it and its subfolders are hashed.

    Parameters
    ----------
    hashes
        A cache of the hashes of unchanged files; None: every file is read.

    Raises
    ------
    InputError
        A file cannot be read.
    """
    whole = hashlib.sha256()
    for path in paths:
        try:
            is_folder = path.is_dir()
            files = sorted(p for p in path.rglob("*") if p.is_file()) if is_folder else [path]
            digests = (hashes or FileHashes()).sha256(files)
        except OSError as error:
            raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from None
        for file, digest in zip(files, digests, strict=True):
            if is_folder:
                whole.update(file.relative_to(path).as_posix().encode())
            whole.update(bytes.fromhex(digest))
    return whole.hexdigest()
