"""Tables and settings that are damaged at random: read, or refused in one line without a cell.

python benchmarks/mutations_tables.py --count 60000
"""

import collections
import gzip
import io
import json
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from rich.progress import track

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for benchmarks itself

from fedseed.cli.exit_status import run_main
from fedseed.config import RunConfig
from fedseed.data.sources import open_source
from fedseed.data.splits import split, text_digests
from fedseed.data.tables.cells import Wanted
from fedseed.errors import InputError, RunError
from fedseed.randomness import generator
from fedseed.recipe import Recipe

MARK = "qzx"
"""Stands in every cell, and so in no message."""
_PIECES = (
    b'"', b"'", b",", b"\t", b";", b"|", b"\n", b"\r\n", b"\r", b"\0", b"\\", b"{", b"}", b"[",
    b"]", b":", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe9", b"\\ud83d", b"\xed\xa0\xbd", b"NaN", b"null",
    b"1e999", b"true", b"-1", b"__label__", b"#", b"=", b'""', b"PK\x03\x04", b"\x1f\x8b", b"PAR1",
    b"\x80\x04", b"\xe2\x80\xa8", b"\xf0\x9f\x98\x80", b"9" * 5000, b"[" * 3000,
)  # fmt: skip
_COLUMNS = ("text", "label", "body", "1", "2", "3", "text+title", "1+2", "0", "99")
_ENCODINGS = ("utf-8", "cp1252", "utf-16", "ascii", "rot13", "x")
Rng = np.random.Generator


def make_tables() -> dict[str, bytes]:
    """Whole files of many kinds, by name; every cell holds the mark."""
    rng = generator(0, "mutations")
    words = [f"{MARK}{letter}{n}" for letter in "abcd" for n in range(9)]
    rows = []
    for n in range(24):
        text = " ".join(str(word) for word in rng.choice(words, 5))
        quoted = f'{text} "{MARK}, so"\n{MARK}é' if n % 5 == 0 else text
        rows.append((quoted, f"{MARK}{'no' if n % 2 else 'yes'}", n % 3))
    records = [{"text": text, "label": label, "title": f"{MARK}{n}"} for text, label, n in rows]
    table = pa.Table.from_pylist(records)
    lists = pa.table({"text": [text for text, _, _ in rows], "labels": [[n] for _, _, n in rows]})
    json_lines = "".join(f"{json.dumps(record)}\n" for record in records).encode()
    comma = _separated(rows, ",")
    with io.BytesIO() as packed:
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("a.csv", comma)
        zipped = packed.getvalue()
    return {
        "a.csv": comma, "a.tsv": _separated(rows, "\t"), "b.csv": _separated(rows, ";"),
        "c.csv": comma.partition(b"\n")[2], "d.csv": comma.decode().encode("utf-16"),
        "e.csv": comma.decode().encode("latin-1"), "a.txt": comma, "a.jsonl": json_lines,
        "a.ndjson": json_lines, "a.json": json.dumps(records).encode(),
        "b.json": json.dumps({"data": records}, indent=1).encode(),
        "b.txt": "".join(f"__label__{n} {' '.join(t.split())}\n" for t, _, n in rows).encode(),
        "a.parquet": _parquet(table), "b.parquet": _parquet(lists),
        "a.csv.gz": gzip.compress(comma), "a.csv.zip": zipped, "a": json_lines,
    }  # fmt: skip


def _separated(rows: list[tuple[str, str, int]], separator: str) -> bytes:
    quoted = [('"' + text.replace('"', '""') + '"', label, f"{MARK}{n}") for text, label, n in rows]
    lines = [separator.join(row) for row in [("text", "label", "title"), *quoted]]
    return ("\n".join(lines) + "\n").encode()


def _parquet(table: pa.Table) -> bytes:
    with io.BytesIO() as out:
        pq.write_table(table, out)
        return out.getvalue()


def damage(content: bytes, rng: Rng) -> bytes:
    """Change a few places of a file."""
    data = bytearray(content)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        place = int(rng.integers(len(data) + 1))
        size = int(rng.integers(1, 40))
        how = rng.integers(7)
        if how == 0:
            del data[place : place + size]
        elif how == 1:
            data[place:place] = data[place : place + 4 * size]
        elif how == 2:
            data[place:place] = rng.integers(0, 256, size, dtype=np.uint8).tobytes()
        elif how == 3 and data:
            data[place % len(data)] ^= 1 << int(rng.integers(8))
        elif how == 4 and rng.random() < 0.3:
            del data[place:]
        else:
            data[place:place] = _PIECES[int(rng.integers(len(_PIECES)))]
    return bytes(data)


def read_table(path: Path, rng: Rng) -> str:
    """``read`` or ``refused``: what becomes of a table; raises what no user should see."""

    def one(values: tuple[str | None, ...]) -> str | None:
        return values[int(rng.integers(len(values)))] if rng.random() < 0.2 else None

    wanted = Wanted(one(_COLUMNS), one(_COLUMNS), encoding=one(_ENCODINGS))
    try:
        texts = open_source(str(path), wanted).read()
        for text in texts.texts:
            text.encode()
        official = None if texts.official_test is None else np.array(texts.official_test)
        split(text_digests(texts.texts), np.array(texts.labels), official)
    except InputError as error:
        return _one_line(error)
    return "read"


def read_settings(path: Path, _: Rng) -> str:
    """The same for a file of settings or a recipe."""
    try:
        if path.name.startswith("recipe"):
            Recipe.from_toml(path)
        else:
            RunConfig.parse(RunConfig.from_toml(path))
    except InputError as error:
        return _one_line(error)
    return "read"


def _one_line(error: InputError) -> str:
    if len(str(error).splitlines()) != 1:
        raise RunError(f"not one line: {error}") from error
    if MARK in str(error):
        raise RunError(f"a cell stands in the message: {error}") from error
    return "refused"


def make_settings() -> dict[str, bytes]:
    """Files of settings, by name."""
    config = 'clients = 3\nprotocol = "labels"\ndata = "bundled"\nalpha = 0.5\nquick = true\n'
    recipe = "learning_rate = 0.001\nsteps = 5\nmax_length = 32\nbatch_size = 8\n"
    return {"config.toml": config.encode(), "recipe.toml": recipe.encode()}


KINDS: dict[str, tuple[Callable[[], dict[str, bytes]], Callable[[Path, Rng], str]]] = {
    "tables": (make_tables, read_table),
    "settings": (make_settings, read_settings),
}


def run(kind: str, count: int, run_seed: int, scratch: Path) -> collections.Counter[str]:
    """Damage files of one kind, read them, and count what became of them."""
    make, read = KINDS[kind]
    whole = list(make().items())
    counts: collections.Counter[str] = collections.Counter()
    for number in track(range(count), description=kind):
        rng = generator(run_seed, f"mutation of {kind}", number)
        name, content = whole[number % len(whole)]
        path = scratch / name
        path.write_bytes(damage(content, rng))
        try:
            counts[read(path, rng)] += 1
        except Exception:  # counted: this is what must not be
            counts["failed"] += 1
            print(f"number {number}, {name}:\n{traceback.format_exc()}")
    return counts


def main(
    count: Annotated[int, typer.Option(min=1, help="Damaged files of each kind.")] = 1000,
    run_seed: Annotated[int, typer.Option(help="Of the damage.")] = 0,
) -> None:
    """Damage tables and settings, print how many were read and refused; fail at anything else."""
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for kind in KINDS:
            counts = run(kind, count, run_seed, Path(scratch))
            print(f"{kind}: {counts['read']:,} read, {counts['refused']:,} refused, "
                  f"{counts['failed']:,} failed")  # fmt: skip
            failed += counts["failed"]
    if failed:
        raise RunError(f"{failed} files ended in something else than reading or one line")


if __name__ == "__main__":
    sys.exit(run_main(main))
