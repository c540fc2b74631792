"""Download a file once and check its SHA-256."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from w2v.errors import InputError
from w2v.files import file_sha256, written_aside
from w2v.text.remote import TIMEOUT

ShowDownload = Callable[[str, int, int | None], None]
"""Shows the progress of a download: file name, bytes received, and total bytes if known."""


def download(url: str, sha256: str, path: Path, show: ShowDownload = lambda *_: None) -> None:
    """Download a file to `path`, unless a file with this SHA-256 is already there.

    The file appears at `path` only after its checksum has been verified. If several processes
    request the same file, one of them downloads it while the others wait.

    Parameters
    ----------
    sha256
        The expected SHA-256 in hexadecimal.
    show
        Called with the file name, the bytes received so far, and the bytes in all (None if
        unknown).

    Raises
    ------
    InputError
        The download failed, the checksum is wrong, or the file cannot be written. The message is
        only the reason; it does not name the URL.
    """
    # Most runs download nothing, and these imports are slow.
    import pooch
    import requests
    import urllib3
    from filelock import FileLock

    try:
        if path.is_file() and file_sha256(path) == sha256:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        downloader = pooch.HTTPDownloader(
            progressbar=PoochProgress(path.name, show),
            chunk_size=1 << 16,  # bytes between two reports of progress
            timeout=TIMEOUT,
            headers={"Accept-Encoding": "identity"},
            hooks={"response": ignore_content_encoding},
        )
        with FileLock(path.with_name(f".{path.name}.lock")):
            if path.is_file() and file_sha256(path) == sha256:
                return  # another process downloaded it
            with written_aside(path) as aside:
                downloader(url, str(aside), None)
                if file_sha256(aside) != sha256:
                    raise InputError("the file received has another SHA-256 and was not kept")
    except requests.HTTPError as error:
        status = "unknown" if error.response is None else error.response.status_code
        raise InputError(f"HTTP status {status}") from None
    # The texts of these errors are long. Some of them are OSErrors, too.
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise InputError(type(error).__name__) from None
    except OSError as error:
        raise InputError(error.strerror or str(error)) from None


class PoochProgress:
    """Receives the progress of a download from the library pooch, and passes it to a function.

    pooch updates this object as a progress bar, but it draws nothing.

    Parameters
    ----------
    name
        The name of the file that is downloaded.
    show
        Called with the file name, the bytes received so far, and the bytes in all (None if
        unknown).
    """

    def __init__(self, name: str, show: ShowDownload) -> None:
        self.name, self.show, self.done = name, show, 0
        self.total = 0  # set by pooch; 0 if the server does not tell the size

    def update(self, size: int) -> None:
        """Add `size` to the bytes received so far, and report the sum; ignore a `size` of 0."""
        if size:
            self.done += size
            done = min(self.done, self.total) if self.total else self.done
            self.show(self.name, done, self.total or None)

    def reset(self) -> None:
        """Set the number of bytes received to 0.

        At the end of a download, pooch calls this method, and then `update` with the whole size.
        """
        self.done = 0

    def close(self) -> None:
        """Do nothing; the download library pooch requires that a progress bar has this method."""


def ignore_content_encoding(response: Any, **_: Any) -> None:
    """Response hook for the library ``requests``: remove the header Content-Encoding.

    The library calls it before the body is read. With the header, it would decompress a ``.gz``
    file that the server declares as gzip-encoded, instead of saving the file as it is.
    """
    response.raw.headers.pop("Content-Encoding", None)
