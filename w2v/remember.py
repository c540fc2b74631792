"""Remember the last results of a function whose arguments are too large to be hashed each time."""

from collections import deque
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

T = TypeVar("T")


def remember_last(size: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Return a decorator that keeps the results of the last `size` different calls.

    The arguments are compared by ``==`` with those of earlier calls, which for long tuples of the
    same objects is much faster than hashing. They must be immutable, and so must the results be to
    the callers.
    """

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        kept: deque[tuple[tuple[Any, ...], T]] = deque(maxlen=size)

        @wraps(function)
        def call(*arguments: Any) -> T:
            for known, result in tuple(kept):
                if known == arguments:
                    return result
            result = function(*arguments)
            kept.appendleft((arguments, result))
            return result

        return call

    return decorate
