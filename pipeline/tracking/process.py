"""Identify the process that opened a run, to find out later whether that process has ended."""

import os
import socket
from pathlib import Path

TAG = "w2v.process"
"""The tag of a run that identifies its process."""

PROC = Path("/proc")


def identity_tag() -> dict[str, str]:
    """Return the tag that identifies this process; an empty dict where ``/proc`` is missing."""
    try:
        return {TAG: " ".join((*_machine(), str(os.getpid()), _start_time(os.getpid())))}
    except OSError:
        return {}


def has_ended(identity: str) -> bool:
    """Return whether the process with this identity has certainly ended.

    That is certain in two cases: the process ran on this machine before its last restart; or it
    ran in this container since then, and its process id is free or belongs to another process.
    """
    try:
        host, boot, namespace, pid, started = identity.split(" ")
        here = _machine()
        if (host, boot, namespace) == here:
            return _start_time(int(pid)) != started
        return host == here[0] and boot != here[1]
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False


def _machine() -> tuple[str, str, str]:
    """Return the ids of this machine, of its boot and of the namespace of process ids."""
    machine_id = Path("/etc/machine-id")
    host = machine_id.read_text().strip() if machine_id.is_file() else ""
    boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    namespace = Path(PROC / "self/ns/pid").readlink().name
    # Two machines may have the same host name: without a machine id, the boot stands for it.
    return f"{host or boot}/{socket.gethostname()}".replace(" ", ""), boot, namespace


def _start_time(pid: int) -> str:
    """Return when a process started, in clock ticks since the boot."""
    # The second field, the program's name in parentheses, may itself hold spaces and parentheses.
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19]
