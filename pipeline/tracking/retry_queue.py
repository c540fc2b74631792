"""Deliveries to a tracking store that may be away: in order, in a thread of their own, again and
again until they arrive, so that training neither waits for the store nor fails with it."""

import logging
import queue
import re
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from w2v.errors import InputError

log = logging.getLogger(__name__)

T = TypeVar("T")

PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a delivery is tried again; the last one from then on."""

PATIENCE = 30.0
"""Seconds that `Courier.close` waits for a store that is away."""


class Courier:
    """Makes calls one after the other; see the module.

    Parameters
    ----------
    passing
        Whether an error may pass, as the store comes back; the call is made again. What any other
        error says is kept, and the call given up.
    name
        Of the store, for people.
    """

    def __init__(self, passing: Callable[[Exception], bool], name: str) -> None:
        self.passing = passing
        self.name = name
        self.calls: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self.trouble = ""
        """Why the call in hand has not been made yet; empty while all is well."""
        self.refused: list[str] = []
        """What errors that do not pass have said."""
        self.given_up = threading.Event()
        self.thread = threading.Thread(target=self._work, name="courier", daemon=True)
        self.thread.start()

    def send(self, call: Callable[[], object]) -> None:
        """Have a call made, soon."""
        self.calls.put(call)

    def close(self, patience: float = PATIENCE) -> str:
        """Wait for the last delivery; returns what is wrong, or nothing.

        A store that is well is waited for as long as it takes, one that is away for ``patience``
        seconds.
        """
        self.calls.put(None)
        away = 0.0
        told = False
        while self.thread.is_alive():
            self.thread.join(0.05)
            away = away + 0.05 if self.trouble else 0.0
            if away > 1.0 and not told:
                print(f"waiting for {self.name} ({self.trouble})", file=sys.stderr)
                told = True
            if away > patience:
                self.given_up.set()
                return self.trouble
        return "; ".join(dict.fromkeys(self.refused))

    def _work(self) -> None:
        while (call := self.calls.get()) is not None:
            tries = 0
            while not self.given_up.is_set():
                try:
                    call()
                    break
                except Exception as error:
                    if not self.passing(error):
                        log.info("a call was given up", exc_info=True)
                        self.refused.append(brief(error))
                        break
                    self.trouble = brief(error)
                self.given_up.wait(PAUSES[min(tries, len(PAUSES) - 1)])
                tries += 1
            self.trouble = ""


def brief(error: Exception) -> str:
    """What an error says, short enough for one line."""
    said = str(error).strip().split("\n")[0]
    known = re.search(r"database is locked|Connection refused|timed out", str(error))
    return known.group() if known else said[:200] or type(error).__name__


def holders(database: Path) -> list[str]:
    """The other processes that hold a lock on an SQLite file, where the system tells (Linux)."""
    try:
        inode = database.stat().st_ino
        lines = Path("/proc/locks").read_text().split("\n")
    except OSError:
        return []
    numbers = dict.fromkeys(
        int(fields[4])
        for fields in (line.replace("-> ", "").split() for line in lines)
        if len(fields) > 5 and fields[5].rpartition(":")[2] == str(inode)
    )
    return [named(number) for number in numbers if number > 0]


def named(number: int) -> str:
    """A process by its number and command line."""
    try:
        line = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (OSError, UnicodeDecodeError):
        line = ""
    shown = "".join(c if c.isprintable() else "?" for c in line.strip())[:80]
    return f"process {number}" + (f" ({shown})" if shown else "")


def database_of(store: str) -> Path | None:
    """The file of an SQLite address, relative or not; ``None`` for other stores and for memory."""
    scheme, _, place = store.partition("?")[0].partition(":///")
    return Path(place) if scheme == "sqlite" and place not in ("", ":memory:") else None


def who_holds(store: str) -> str:
    """For a line about a store that is locked: who holds it, as far as can be told."""
    database = database_of(store)
    if database is None:
        return ""
    found = holders(database)
    return f"; it is held by {' and '.join(found)}" if found else ""


def patient(call: Callable[[], T], store: str, seconds: float = PATIENCE) -> T:
    """Make a call to a store, again while its database is locked.

    Raises
    ------
    InputError
        Still locked after so many seconds; the line says by whom.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except Exception as error:
            if "database is locked" not in str(error):
                raise
            if time.monotonic() > deadline:
                raise InputError(
                    f"tracking.uri={store}: the database is locked{who_holds(store)}; "
                    "wait, or end what holds it"
                ) from None
        time.sleep(0.2)


class Delivered:
    """An object whose methods a courier calls: each returns at once, and nothing."""

    def __init__(self, target: object, courier: Courier) -> None:
        self._target = target
        self._courier = courier

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._target)  # as `isinstance` sees it

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found
        return lambda *given, **named: self._courier.send(partial(found, *given, **named))
