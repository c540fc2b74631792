"""Which process a tracked run belongs to, so that a run whose process was killed can be closed."""

import os
import socket
from pathlib import Path

TAG = "w2v.process"

PROC = Path("/proc")


def mark() -> dict[str, str]:
    """The tag that names this process for good; nothing where the system does not tell."""
    try:
        return {TAG: " ".join((*_machine(), str(os.getpid()), _started(os.getpid())))}
    except OSError:
        return {}


def gone(process: str) -> bool:
    """Whether a tagged process has certainly ended.

    Certain is a process of this boot and this process namespace whose number is free or was given
    to another, and one of an earlier boot of this machine.
    """
    try:
        host, boot, namespace, number, started = process.split(" ")
        here = _machine()
        if (host, boot, namespace) == here:
            return _started(int(number)) != started
        return host == here[0] and boot != here[1]
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False


def _machine() -> tuple[str, str, str]:
    """The machine, its boot, and the namespace that numbers processes."""
    identity = Path("/etc/machine-id")
    host = identity.read_text().strip() if identity.is_file() else ""
    # Without an identity of the machine, another boot may be another machine of that name.
    boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    namespace = Path(PROC / "self/ns/pid").readlink().name
    return f"{host or boot}/{socket.gethostname()}".replace(" ", ""), boot, namespace


def _started(number: int) -> str:
    """When a process began, in clock ticks since the boot."""
    # The name of the program, in parentheses, may hold spaces and parentheses itself.
    return (PROC / str(number) / "stat").read_text().rpartition(")")[2].split()[19]
