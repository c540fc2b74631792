"""Files from the web: fetched once, resumed where they were cut, checked, whole or absent."""

import errno
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from w2v.errors import InputError

TIMEOUT = (10.0, 60.0)
"""Seconds to connect, and to wait for more."""

PAUSES = (1.0, 2.0, 4.0)
"""Seconds before going on after a cut; that many tries in a row may bring nothing."""

LIMIT = 1 << 30
"""Bytes; no corpus with a name is as large, and a server must not fill the disk."""


class Received(NamedTuple):
    """How far a download is.

    Attributes
    ----------
    name
        Of the file.
    done, total
        Bytes, those of earlier calls too; a server need not say the total.
    speed
        Bytes per second of this call.
    """

    name: str
    done: int
    total: int | None
    speed: float


def fetch(
    url: str,
    sha256: str,
    path: Path,
    received: Callable[[Received], None] = lambda _: None,
    pauses: tuple[float, ...] = PAUSES,
) -> None:
    """Have the file of that checksum at ``path``; several processes download it once.

    What a cut connection or a killed process leaves behind is continued by the next call.

    Parameters
    ----------
    sha256
        Hex digits. A file that has another checksum does not get the name ``path``.
    received
        Called with every block that comes.
    pauses
        As `PAUSES`.

    Raises
    ------
    InputError
        The reason alone: a phrase for a line that says what to do.
    """
    # Slow to import, and most runs download nothing.
    import pooch
    import requests
    import urllib3

    pooch.get_logger().setLevel("WARNING")
    try:
        if path.is_file() and pooch.file_hash(str(path)) == sha256:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{sha256[:16]}.part")
        with FileLock(path.with_name(f".{path.name}.lock")):
            pooch.retrieve(
                url,
                f"sha256:{sha256}",
                fname=path.name,
                path=path.parent,
                downloader=Resuming(part, path.name, received, pauses),
            )
    except CutError as cut:
        raise InputError(f"{cut}; the same command goes on from there") from None
    except requests.HTTPError as error:
        status = "unknown" if error.response is None else error.response.status_code
        raise InputError(f"HTTP status {status}") from None
    # requests' errors are OSErrors whose text is a page; its InvalidURL is a ValueError too.
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise InputError(type(error).__name__) from None
    except OSError as error:
        raise InputError(error.strerror or str(error)) from None
    except ValueError:  # pooch's, of the checksum
        raise InputError("what came has another SHA-256; nothing of it is kept") from None


class CutError(Exception):
    """The connection ended before the file did."""


class Resuming:
    """A downloader for pooch that goes on where an earlier one stopped.

    Parameters
    ----------
    part
        Holds what has come, until all has.
    name, received, pauses
        As in `fetch`.
    """

    def __init__(
        self,
        part: Path,
        name: str,
        received: Callable[[Received], None],
        pauses: tuple[float, ...],
    ) -> None:
        self.part = part
        self.name = name
        self.received = received
        self.pauses = pauses

    def __call__(self, url: str, output_file: str, _pooch: Any) -> None:
        """Fill ``output_file``."""
        import requests
        import urllib3

        network = (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError)
        Path(output_file).unlink()  # made by pooch, empty; a killed process shall not leave it
        begun, fruitless = False, 0
        while True:
            before = self._size()
            try:
                self._attempt(url)
                break
            except (CutError, *network) as error:
                grown = self._size() > before
                begun |= grown
                fruitless = 0 if grown else fruitless + 1
                if not begun and not isinstance(error, CutError):
                    raise  # no such server, or no network: waiting does not help
                if fruitless > len(self.pauses):
                    raise CutError(f"the connection was cut after {self._size():,} bytes") from None
                time.sleep(self.pauses[max(fruitless - 1, 0)])
        self.part.replace(output_file)

    def _size(self) -> int:
        with suppress(FileNotFoundError):
            return self.part.stat().st_size
        return 0

    def _attempt(self, url: str) -> None:
        """Append to the part until the file is whole.

        Raises
        ------
        CutError
            The connection ended early; so do errors of requests and urllib3.
        """
        import requests

        have = self._size()
        # Bytes as they lie on the server: a range of a packed reply would be of other bytes.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            first, total = extent(response.status_code, response.headers)
            if response.status_code == 416 and total == have:
                return  # whole already: the process ended before the checksum was taken
            if have and (response.status_code == 416 or first > have):
                self.part.unlink()
                raise CutError("the server lacks the bytes that are missing")
            response.raise_for_status()
            begun, old = time.monotonic(), first
            with self.part.open("r+b" if have else "wb") as file:
                file.truncate(first)
                file.seek(first)
                for block in blocks(response):
                    file.write(block)
                    first += len(block)
                    seconds = max(time.monotonic() - begun, 1e-3)
                    self.received(Received(self.name, first, total, (first - old) / seconds))
                    if first > LIMIT:
                        break
        if first > LIMIT:
            self.part.unlink()
            raise OSError(errno.EFBIG, f"more than {LIMIT >> 20} MiB came")
        if total is not None and first < total:
            raise CutError(f"the connection was cut after {first:,} of {total:,} bytes")


def blocks(response: Any) -> Iterator[bytes]:
    """The body as it is sent: some servers call a ``.gz`` file a packed reply of another file."""
    blocks: Iterator[bytes] = response.raw.stream(1 << 16, decode_content=False)
    return blocks


def extent(status: int, headers: Any) -> tuple[int, int | None]:
    """Where the body of a reply begins in the file, and the length of the file if it is said."""
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", headers.get("Content-Range", ""))
    if status in (206, 416):
        if match is None:
            return 0, None
        return int(match[1] or 0), None if match[2] == "*" else int(match[2])
    length = headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None
