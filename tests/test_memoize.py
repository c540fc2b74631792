"""Test the decorator `remember_last`, which caches the last results of a function."""

from w2v.memoize import remember_last


def test_results_of_equal_arguments_are_remembered() -> None:
    calls = []

    @remember_last(2)
    def total(numbers: tuple[int, ...], more: int) -> int:
        calls.append(numbers)
        return sum(numbers) + more

    assert [total((1, 2), 3), total((1, 2), 3), total((1, 2), 4)] == [6, 6, 7]
    assert calls == [(1, 2), (1, 2)]
    assert total((9,), 0) == 9  # the oldest of three is forgotten
    assert total((1, 2), 4) == 7
    assert len(calls) == 3
    assert total((1, 2), 3) == 6
    assert len(calls) == 4
