"""Find and read the benchmark files that gensim ships: WordSim-353, SimLex-999, Google analogies.

The files are parsed by `w2v.evaluate.similarity` and `w2v.evaluate.analogies`.
"""

from importlib.util import find_spec
from pathlib import Path

from w2v.errors import InputError
from w2v.files import open_binary

BENCHMARKS = {
    "wordsim353": "wordsim353.tsv",
    "simlex999": "simlex999.txt",
    "google": "questions-words.txt",
}
"""The file of each benchmark among gensim's test data."""


def benchmark_path(name: str) -> Path:
    """Return the path of a benchmark file in the installed gensim package.

    Parameters
    ----------
    name
        ``wordsim353``, ``simlex999`` or ``google``.

    Raises
    ------
    InputError
        There is no benchmark of this name, or gensim or its test data is not installed.

    References
    ----------
    Finkelstein et al. (2002), WordSim-353. Hill, Reichart, Korhonen (2015), SimLex-999.
    Mikolov, Chen, Corrado, Dean (2013), the Google analogies.
    """
    if name not in BENCHMARKS:
        raise InputError(f"no benchmark is named {name!r}; there are {', '.join(BENCHMARKS)}")
    spec = find_spec("gensim")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "test" / "test_data" / BENCHMARKS[name]
        if path.is_file():
            return path
    raise InputError(f"the benchmark {name!r} comes with gensim; install gensim to have it")


def read_lines(path: str | Path) -> list[str]:
    """Read the lines of a UTF-8 text file, decompressing it if its name ends in .gz, .bz2 or .xz.

    Raises
    ------
    InputError
        The file cannot be read or is not UTF-8.
    """
    try:
        with open_binary(path) as file:
            return file.read().decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8") from None
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be read ({reason})") from None
