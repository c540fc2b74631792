"""An HTTP server on the loopback interface, for tests; it can simulate failures."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Site:
    """A file that the server sends, and how it sends it.

    Attributes
    ----------
    content
        The bytes of the file.
    cut
        The number of bytes after which the connection is closed; None for all.
    headers
        Additional headers of the response.
    status
        The HTTP status; the file is sent only with 200.
    has_length
        Whether the response has a ``Content-Length`` header.
    gate
        An event that the server waits for, at most a minute, after half of the file; None: no wait.
    requests
        The number of requests so far.
    url
        The address of the file; empty before it is served.
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
    """Serve the file of `site` by HTTP during a ``with`` block; set its URL, and yield it."""

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
