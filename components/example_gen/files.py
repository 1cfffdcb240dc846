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
        if is_uri(file):
            from apache_beam.io.filesystems import CompressionTypes, FileSystems

            opened = FileSystems.open(file, compression_type=CompressionTypes.UNCOMPRESSED)
        else:
            opened = open(file, "rb")
        with opened as raw, gzip.open(raw) if file.endswith(".gz") else contextlib.nullcontext(raw) as stream:
            yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{file}: is damaged gzip data: {error}; compress or download it again") from error
    except OSError as error:  # Beam's BeamIOError is one too.
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from error


def is_uri(path: str) -> bool:
    """Whether a path names another file system than the local one, as `gs://bucket/log.csv`."""
    return "://" in path


def expand(pattern: str, data_dir: str | None = None) -> list[str]:
    """The files a glob matches, sorted.

    Args:
        pattern: a path or glob; `**` stands for any folders. A URI, as `gs://bucket/log/*.csv`, is
            looked up by Apache Beam's file systems.
        data_dir: when given, a relative pattern is looked up below it; of one that leads
            elsewhere (an absolute one outside it, or one with `..`) the last part is.

    Raises:
        UserError: no file matches, or one is empty.
    """
    if is_uri(pattern):
        return [found.path for found in _remote(pattern)]
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
        if is_uri(file):
            (found,) = _remote(file)
            size, changed = found.size_in_bytes, found.last_updated_in_seconds
        else:
            status = os.stat(file)
            size, changed = status.st_size, status.st_mtime_ns
        digest.update(f"{file}\0{size}\0{changed}\n".encode())
    return digest.hexdigest()


def size(file: str) -> int:
    """Bytes of a file; one of another file system, as `gs://bucket/log.csv`, is asked for by Apache Beam."""
    return _remote(file)[0].size_in_bytes if is_uri(file) else os.path.getsize(file)


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


def _remote(pattern: str) -> list:
    """Beam's metadata of the files that a URI matches, by path.

    Raises:
        UserError: none does, one is empty, or the file system cannot be asked.
    """
    from apache_beam.io.filesystem import BeamIOError
    from apache_beam.io.filesystems import FileSystems

    try:
        found = sorted(FileSystems.match([pattern])[0].metadata_list, key=lambda metadata: metadata.path)
    except (BeamIOError, ValueError) as error:
        raise UserError(f"source.path: {pattern}: cannot be looked up: {error}") from error
    if not found:
        raise UserError(f"source.path: no file matches {pattern}")
    for metadata in found:
        if metadata.size_in_bytes == 0:
            raise UserError(f"{metadata.path}: is empty; a log has at least one row")
    return found


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
