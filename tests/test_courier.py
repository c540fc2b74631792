"""Deliveries in order, again until they arrive; whose process a run is; who holds a database."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.tracking import process as owners
from pipeline.tracking.retry_queue import Courier, Delivered, holders, patient, who_holds
from w2v.errors import InputError


def passing(error: Exception) -> bool:
    return isinstance(error, OSError)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.tracking.retry_queue.PAUSES", (0.0, 0.01))


def test_calls_are_made_in_order_and_again_until_they_succeed() -> None:
    made: list[int] = []
    away = [True] * 5

    def call(number: int) -> None:
        if number % 3 == 1 and away:
            away.pop()
            raise OSError("away")
        made.append(number)

    courier = Courier(passing, "the store")
    for number in range(10):
        courier.send(lambda number=number: call(number))  # type: ignore[misc]
    assert courier.close() == ""
    assert made == list(range(10))


def test_what_cannot_pass_is_given_up_and_told() -> None:
    made: list[int] = []

    def refuse() -> None:
        raise KeyError("no such run")

    courier = Courier(passing, "the store")
    for call in (lambda: made.append(1), refuse, refuse, lambda: made.append(2)):
        courier.send(call)
    assert courier.close() == "'no such run'"
    assert made == [1, 2]


def test_a_store_that_stays_away_is_not_waited_for_for_ever(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse() -> None:
        raise OSError(111, "Connection refused")

    courier = Courier(passing, "the store")
    begun = time.monotonic()
    courier.send(refuse)
    assert time.monotonic() - begun < 1.0  # who sends never waits
    assert courier.close(patience=1.5) == "Connection refused"
    assert capsys.readouterr().err == "waiting for the store (Connection refused)\n"
    courier.thread.join(10)
    assert not courier.thread.is_alive()


def test_a_slow_store_is_waited_for() -> None:
    made: list[int] = []
    courier = Courier(passing, "the store")

    def slowly() -> None:
        time.sleep(0.5)
        made.append(1)

    courier.send(slowly)
    assert courier.close(patience=0.1) == ""
    assert made == [1]


def test_methods_are_delivered_and_values_are_there_at_once() -> None:
    class Target:
        run_id = "x"

        def __init__(self) -> None:
            self.seen: list[tuple[object, ...]] = []
            self.thread = ""

        def take(self, *given: object, **named: object) -> int:
            self.seen.append((given, named))
            self.thread = threading.current_thread().name
            return 3

    target = Target()
    courier = Courier(passing, "the store")
    delivered = Delivered(target, courier)
    assert delivered.run_id == "x"
    assert isinstance(delivered, Target)
    assert delivered.take(1, b=2) is None
    assert courier.close() == ""
    assert target.seen == [((1,), {"b": 2})]
    assert target.thread == "courier"
    with pytest.raises(AttributeError):
        _ = delivered.nothing


# Who holds a database

HOLD = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("begin exclusive")
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_locked_database_is_waited_for_and_its_holder_named(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    sqlite3.connect(path).execute("create table t (x)").connection.close()
    store = f"sqlite:///{path}"
    assert holders(path) == []
    assert who_holds(store) == who_holds("http://localhost") == ""

    def write() -> int:
        with sqlite3.connect(path, timeout=0.01) as database:
            return database.execute("insert into t values (1)").rowcount

    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        with pytest.raises(InputError) as refusal:
            patient(write, store, seconds=0.3)
        line = str(refusal.value)
        assert line.startswith(
            f"tracking.uri={store}: the database is locked; it is held by process "
            f"{process.pid} ({sys.executable} -c"
        )
        assert line.endswith("); wait, or end what holds it")
        threading.Timer(0.5, process.stdin.close).start()
        assert patient(write, store, seconds=60) == 1
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        patient(lambda: sqlite3.connect(path).execute("select * from u"), store)


# Whose run it is


def tag() -> str:
    return owners.mark()[owners.TAG]


def test_this_process_is_here_and_another_has_gone() -> None:
    assert not owners.gone(tag())
    program = "from pipeline import owners; print(owners.mark()[owners.TAG])"
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert owners.gone(result.stdout.strip())


def test_only_certainty_counts() -> None:
    host, boot, namespace, number, started = tag().split(" ")
    assert number == str(os.getpid())
    assert owners.gone(f"{host} {boot} {namespace} {number} {int(started) - 1}")  # number reused
    assert owners.gone(f"{host} {boot} {namespace} 4194304 {started}")  # above the largest number
    assert owners.gone(f"{host} another {namespace} {number} {started}")  # the machine restarted
    assert not owners.gone(f"elsewhere another {namespace} 4194304 {started}")
    assert not owners.gone(f"{host} {boot} pid:[1] 4194304 {started}")  # in another container
    for nonsense in ("", "x", "a b c d e", f"{host} {boot} {namespace} x {started}"):
        assert not owners.gone(nonsense)
