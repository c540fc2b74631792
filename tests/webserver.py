"""A real HTTP server on loopback that fails as real ones do."""

import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Site:
    """One file behind one address, and how badly it is served.

    Attributes
    ----------
    content
        The file.
    cuts
        After how many bytes of its body each reply in turn is cut; later ones are whole.
    ranges
        Whether ranges are known.
    headers
        Sent besides.
    status
        In place of the file, if not 200.
    endless
        Sent without a length, and zeros follow for ever.
    gate
        A reply stops after its cut and waits for the gate before the connection closes.
    asked
        The range of each request, as it came.
    sent
        Bytes of the file that left.
    """

    content: bytes
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    endless: bool = False
    gate: threading.Event | None = None
    asked: list[str | None] = field(default_factory=list)
    sent: int = 0
    url: str = ""


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve the site in the block; its ``url`` ends in ``/archive.bin``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            site.asked.append(wanted)
            size, first = len(site.content), 0
            match = re.fullmatch(r"bytes=(\d+)-", wanted or "")
            if site.status != 200:
                self.send_error(site.status)
                return
            if match and site.ranges:
                first = int(match[1])
                if first >= size:
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{size}")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
            else:
                self.send_response(200)
            if not site.endless:
                self.send_header("Content-Length", str(size - first))
            for name, value in site.headers.items():
                self.send_header(name, value)
            self.end_headers()
            body = site.content[first:]
            cut = site.cuts.pop(0) if site.cuts else len(body)
            try:
                self.wfile.write(body[:cut])
                self.wfile.flush()
                site.sent += len(body[:cut])
                if site.gate and cut < len(body):
                    site.gate.wait(60)
                while site.endless:
                    self.wfile.write(bytes(1 << 16))
            except ConnectionError:
                pass

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
