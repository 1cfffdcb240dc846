"""Files of a log: finding, opening and fingerprinting them."""

from __future__ import annotations

import contextlib
import difflib
import glob
import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from models.spec.errors import UserError


@contextlib.contextmanager
def open_binary(file: str) -> Iterator[BinaryIO]:
    """Opens a file of a log for reading; one whose name ends in `.gz` is decompressed.

    Raises:
        UserError: the file cannot be opened, or its gzip data are damaged.
    """
    try:
        with gzip.open(file) if file.endswith(".gz") else open(file, "rb") as stream:
            yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{file}: is damaged gzip data: {error}; compress or download it again") from error
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from error


def expand(pattern: str, data_dir: str | None = None) -> list[str]:
    """The files a glob matches, sorted.

    Args:
        pattern: a path or glob; `**` stands for any folders.
        data_dir: when given, a relative pattern is looked up below it; of one that leads
            elsewhere (an absolute one outside it, or one with `..`) the last part is.

    Raises:
        UserError: no file matches, or one is empty.
    """
    if data_dir is not None:
        folder = os.path.abspath(data_dir)
        if not os.path.isdir(folder):
            raise UserError(f"--data-dir {data_dir}: is no folder")
        if os.path.isabs(pattern):
            inside = os.path.commonpath([folder, pattern]) == folder
        else:
            inside = os.pardir not in pattern.split(os.sep)
        # Joining leaves an absolute pattern as it is.
        pattern = os.path.join(glob.escape(folder), pattern if inside else os.path.basename(pattern))
    # A path that exists is meant as it stands, even with a character that globs know.
    matches = [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern, recursive=True))
    files = [match for match in matches if os.path.isfile(match)]
    if not files:
        if matches:
            raise UserError(f"source.path: {pattern} is a folder; name its files, as {pattern}/*.csv")
        raise UserError(f"source.path: no file matches {pattern}{_neighbours(pattern)}")
    for file in files:
        if os.path.getsize(file) == 0:
            raise UserError(f"{file}: is empty; a log has at least one row")
    return files


def fingerprint(files: Sequence[str]) -> str:
    """A digest of the files' names, sizes and times of change, as TFX's ExampleGen keeps.

    Example:

    ```python
    fingerprint(["log.csv"])  # the same until log.csv is written again
    ```
    """
    digest = hashlib.sha256()
    for file in files:
        status = os.stat(file)
        digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def size(file: str) -> int:
    """Bytes of a file; one of another file system, as `gs://bucket/log.csv`, is asked for by Apache Beam."""
    if "://" not in file:
        return os.path.getsize(file)
    from apache_beam.io.filesystems import FileSystems

    return FileSystems.match([file])[0].metadata_list[0].size_in_bytes


def check_columns(file: str, wanted: Sequence[str], present: Sequence[str]) -> None:
    """Checks that a file has the columns a specification names.

    Raises:
        UserError: naming the file, the column, the columns there are and the most
            similar one.
    """
    for column in wanted:
        if column not in present:
            close = difflib.get_close_matches(column, present, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else "."
            raise UserError(f"{file}: there is no column '{column}'{hint} Its columns: {', '.join(present)}")


def _neighbours(pattern: str) -> str:
    """What stands where nothing matched, for the error."""
    folder = os.path.dirname(pattern) or "."
    if glob.has_magic(folder):
        return ""
    if not os.path.isdir(folder):
        return f"; there is no folder {folder}"
    names = sorted(os.listdir(folder))
    if not names:
        return f"; {folder} is empty"
    return f"; in {folder} there are: {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
