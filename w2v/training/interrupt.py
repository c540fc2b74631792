"""Let Ctrl-C stop a training without losing the vectors trained so far."""

import signal
import threading


class Interrupt:
    """A context manager in which the first Ctrl-C sets the flag `received` and raises nothing.

    This holds from the call of `defer` to the end of the ``with`` block. A second Ctrl-C, or one
    before `defer`, raises `KeyboardInterrupt` as usual. The context manager has no effect outside
    the main thread (in Python, only the main thread receives signals), nor in a program that
    ignores Ctrl-C or has its own handler for it.
    """

    def __init__(self) -> None:
        self.received = False
        self._handling = False

    def __enter__(self) -> "Interrupt":
        return self

    def defer(self) -> None:
        """From now on, let the first Ctrl-C set `received` and raise nothing.

        A second Ctrl-C, or one before this call, raises `KeyboardInterrupt`. This object is a
        context manager: the end of its ``with`` block restores Python's own handler. Outside the
        main thread, or if the handler is not Python's own, this method does nothing.
        """
        usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if usual and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._receive)
            self._handling = True

    def __exit__(self, *_: object) -> None:
        if self._handling:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def requested(self) -> bool:
        """Return whether Ctrl-C has set the flag `received`: the training is to stop."""
        return self.received

    def _receive(self, *_: object) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = True
