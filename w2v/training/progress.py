"""A progress bar for training, in terminals and notebooks."""

import sys
import warnings
from types import TracebackType
from typing import Any

from w2v.training.history import Epoch, Point, TrainState


class ProgressBar:
    """A progress bar, drawn by tqdm, for reading a text, joining words into phrases, and training.

    Parameters
    ----------
    shown
        Whether the bar is drawn; if False, all methods do nothing.
    """

    def __init__(self, shown: bool) -> None:
        self.shown = shown
        self.bar: Any = None

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def reading(self, documents: int, size: int, fraction: float | None) -> None:  # noqa: ARG002
        """Show how many documents have been read.

        `size` (the bytes read) and `fraction` (the share of the text read) are not used. They are
        parameters because the function that reads the text passes them to its callback.
        """
        self._open("reading", None, " documents")
        self._move_to(documents)

    def joining(self, number: int, fraction: float) -> None:
        """Show the progress of joining words into phrases.

        `number` is the number of the pass over the text, and `fraction` the part of it that is
        done.
        """
        self._open(f"phrases, pass {number}", 100, "%")
        self._move_to(round(100 * fraction))

    def say(self, line: str) -> None:
        """Print a line above the bar, on standard error."""
        if self.shown:
            from tqdm import tqdm

            tqdm.write(line, file=sys.stderr)

    def start(self, words: int) -> None:
        """Start the bar of training; `words` is the number of words to read in all epochs."""
        self._open("training", words, " words")

    def resume(self, state: TrainState) -> None:
        """Set the bar to the number of words already read by the training that is resumed."""
        self._move_to(state.words)

    def point(self, point: Point) -> None:
        """Show the number of words read so far and, if known, the mean loss of the newest shard.

        A shard is a part of the text that is trained on in one call. `point` is the state of the
        training after the newest shard; both numbers are taken from it.
        """
        self._move_to(point.words)
        if self.bar is not None and point.loss is not None:
            self.bar.set_postfix_str(f"epoch {point.epoch}, loss {point.loss:.4f}")

    def epoch(self, epoch: Epoch) -> None:
        """Show the held-out loss after an epoch, if there is one."""
        if self.bar is not None and epoch.heldout_loss is not None:
            self.bar.set_postfix_str(f"epoch {epoch.epoch}, held-out loss {epoch.heldout_loss:.4f}")

    def _open(self, title: str, total: int | None, unit: str) -> None:
        if not self.shown or (self.bar is not None and self.bar.desc.startswith(title)):
            return
        self._close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # in a notebook without widgets, tqdm draws text
            from tqdm.auto import tqdm

            self.bar = tqdm(desc=title, total=total, unit=unit, unit_scale=True, leave=True)

    def _move_to(self, done: int) -> None:
        if self.bar is not None:
            self.bar.update(done - self.bar.n)

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
