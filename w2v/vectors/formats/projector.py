"""Write the files of TensorBoard's embedding projector; there is no function to read them."""

from pathlib import Path

from w2v.files import write_vocabulary, written_aside
from w2v.vectors.formats.contents import Contents
from w2v.vectors.formats.words import check_words


def write_projector(folder: Path, contents: Contents) -> None:
    """Write ``vectors.tsv`` and ``metadata.tsv``, the files of TensorBoard's embedding projector.

    Both have one line per word. The vectors are written with nine significant digits, from which
    every float32 can be recovered exactly. The metadata are the words and their counts, with a
    header line. If there are no counts, they are only the words, without a header.

    Raises
    ------
    InputError
        A word is empty, longer than 65,536 bytes, contains a tab or a line break, or is not valid
        Unicode.
    """
    check_words(contents.words, "\t\n\r", "metadata.tsv")
    folder.mkdir(parents=True, exist_ok=True)
    pattern = "\t".join(["%.9g"] * contents.vectors.shape[1]) + "\n"
    with (
        written_aside(folder / "vectors.tsv") as aside,
        aside.open("w", encoding="ascii", newline="\n") as file,
    ):
        file.writelines(pattern % tuple(vector.tolist()) for vector in contents.vectors)
    if contents.counts is not None:
        write_vocabulary(folder / "metadata.tsv", contents.words, contents.counts)
        return
    with written_aside(folder / "metadata.tsv") as aside:
        # The projector would take the header of a single column for a word.
        aside.write_bytes("".join(f"{word}\n" for word in contents.words).encode())
