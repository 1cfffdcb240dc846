"""One file of an official archive, wherever it lies."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from models.spec.errors import UserError


@dataclasses.dataclass(frozen=True)
class OfficialFile:
    """A file as it was extracted, gzipped, or still inside its `.zip` or `.tar.gz`.

    Attributes:
        name: its official name, as `ratings.dat`; what rows are reported under.
        path: the file on disk that holds it.
        packing: `plain`, `gzip`, `zip` or `tar`.
        member: the name inside a zip.
    """

    name: str
    path: str
    packing: str = "plain"
    member: str | None = None

    @contextlib.contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Opens it for reading, as a stream of bytes.

        Raises:
            UserError: it cannot be read, or its archive is damaged.
        """
        try:
            with contextlib.ExitStack() as stack:
                yield self._stream(stack)
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, tarfile.TarError) as error:
            raise UserError(f"{self.path}: is damaged: {error}; download it again") from error

    def _stream(self, stack: contextlib.ExitStack) -> BinaryIO:
        if self.packing == "zip":
            return stack.enter_context(stack.enter_context(zipfile.ZipFile(self.path)).open(self.member))
        if self.packing == "tar":
            archive = stack.enter_context(tarfile.open(self.path, "r:*"))
            for entry in archive:
                if entry.isfile() and entry.name.rsplit("/", 1)[-1] == self.name:
                    return stack.enter_context(archive.extractfile(entry))
            raise UserError(f"{self.path}: holds no {self.name}")
        return stack.enter_context(gzip.open(self.path) if self.packing == "gzip" else open(self.path, "rb"))
