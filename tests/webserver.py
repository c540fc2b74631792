"""An HTTP server on the loopback interface, which can be told to fail."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Site:
    """A file, and how the server serves it.

    Attributes
    ----------
    content
        The content of the file.
    cut
        The number of bytes after which the connection closes; None for all.
    headers
        Additional headers of the reply.
    status
        The HTTP status; the file is sent only with 200.
    has_length
        Whether the reply says how long it is.
    gate
        After the first half of the file, the server waits until this event is set.
    requests
        The number of requests so far.
    """

    content: bytes
    cut: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    has_length: bool = True
    gate: threading.Event | None = None
    requests: int = 0
    url: str = ""


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve a site during a block; its `url` ends in ``/archive.bin``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.requests += 1
            if site.status != 200:
                self.send_error(site.status)
                return
            self.send_response(200)
            if site.has_length:
                self.send_header("Content-Length", str(len(site.content)))
            for name, value in site.headers.items():
                self.send_header(name, value)
            self.end_headers()
            half = len(site.content) // 2
            self.wfile.write(site.content[: site.cut][:half])
            if site.gate:
                self.wfile.flush()
                site.gate.wait(60)
            self.wfile.write(site.content[: site.cut][half:])

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        site.url = f"http://127.0.0.1:{server.server_port}/archive.bin"
        try:
            yield site
        finally:
            if site.gate:
                site.gate.set()
            server.shutdown()
