"""A cache for the last results of a function whose arguments take long to hash."""

from collections import deque
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

T = TypeVar("T")


def remember_last(size: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Return a decorator that caches the last `size` results that a function has computed.

    The decorated function takes positional arguments only. A call whose arguments are equal
    (``==``) to those of a cached result returns that result. For long tuples of the same objects,
    comparing is much faster than hashing. Arguments and results must not be modified.
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
