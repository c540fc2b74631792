"""Tables of results: rows with typed columns, written as CSV and Parquet."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
"""A row of a table: the value of each column, by the name of the column."""

KINDS: dict[str, type] = {"str": str, "float64": float, "int64": int, "bool": bool}
"""The Python type of the values of a column, by the name of the column's type."""

MISSING = {"float64": math.nan}
"""What stands for a missing value, by the type of the column; None for all other types."""


def typed_rows(rows: Iterable[Any], columns: Mapping[str, str]) -> list[Row]:
    """Return the rows of a table as dictionaries; convert each value to the type of its column.

    Parameters
    ----------
    rows
        Tuples of values in the order of the columns, or dictionaries by the name of the column.
    columns
        The type of each column by its name: a key of `KINDS`. A value may be None, or be missing in
        a dictionary; it then becomes NaN in a column of type ``float64``, and None in others.
    """
    found = []
    for row in rows:
        given = row if isinstance(row, Mapping) else dict(zip(columns, row, strict=True))
        found.append(
            {
                name: KINDS[kind](value)
                if (value := given.get(name)) is not None
                else MISSING.get(kind)
                for name, kind in columns.items()
            }
        )
    return found


def without_nan(rows: Iterable[Row]) -> list[Row]:
    """Return rows with ``None`` in place of NaN, which JSON does not have."""
    return [{key: None if value != value else value for key, value in row.items()} for row in rows]


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write rows of values as CSV, after the header `columns`; NaN and None become empty fields."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        # A value that is not equal to itself is NaN.
        writer.writerows([value if value == value else "" for value in row] for row in rows)


def write_table(folder: Path, name: str, rows: Sequence[Row], columns: Mapping[str, str]) -> None:
    """Write a table as ``<name>.csv`` and ``<name>.parquet``.

    NaN and None become empty fields in CSV, and null in Parquet.

    Parameters
    ----------
    rows
        Dictionaries that `typed_rows` returned.
    columns
        The type of each column by its name, as for `typed_rows`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_csv(folder / f"{name}.csv", columns, (row.values() for row in rows))
    types = {"str": pa.string(), "float64": pa.float64(), "int64": pa.int64(), "bool": pa.bool_()}
    arrays = {
        column: pa.array([row[column] for row in rows], types[kind], from_pandas=True)
        for column, kind in columns.items()
    }
    pq.write_table(pa.table(arrays), folder / f"{name}.parquet")
