"""Start MLflow servers for tests, on the loopback interface."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """An MLflow server that was started in a process group of its own."""

    address: str
    process: "subprocess.Popen[bytes]"

    def send(self, signum: int) -> None:
        os.killpg(self.process.pid, signum)


@contextmanager
def mlflow_server(command: list[str], cwd: Path, port: int | None = None) -> Iterator[Server]:
    """Start ``mlflow <command>``, and yield the server when it answers; a context manager.

    The server is stopped at the end of the ``with`` block. Without `port`, it listens on a free
    port.
    """
    port = port or free_port()
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    log = cwd / f"server-{port}.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "mlflow", *command, *arguments],
            cwd=cwd,
            stdout=output,
            stderr=output,
            env={
                **os.environ,
                # MLflow calls uvicorn by its name.
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # saves processes
            },
            start_new_session=True,
        ) as process,
    ):
        server = Server(f"http://127.0.0.1:{port}", process)
        try:
            deadline = time.monotonic() + 120
            while not answers(f"{server.address}/health"):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield server
        finally:
            with suppress(ProcessLookupError):  # the group has ended
                server.send(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    server.send(signal.SIGKILL)


def answers(url: str) -> bool:
    """Return whether a request to a URL gets the HTTP status 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False
