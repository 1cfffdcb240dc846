"""What an official data set consists of and where it comes from."""

from __future__ import annotations

import dataclasses
import os
import zipfile
from collections.abc import Mapping

from components.example_gen.builders.official_file import OfficialFile
from models.spec.errors import UserError


@dataclasses.dataclass(frozen=True)
class Archive:
    """The files of an official data set.

    Attributes:
        title: what people call it.
        homepage: where its licence is and, when there are no `urls`, where a person
            can download it.
        files: names of the files that are read.
        urls: what can be downloaded without an account: one zip of all files, or the
            files gzipped; empty when an account is needed.
        folder: name of the folder, and of the zip, that the official archive makes.
    """

    title: str
    homepage: str
    files: tuple[str, ...]
    urls: tuple[str, ...] = ()
    folder: str | None = None

    def find(self, data_dir: str) -> dict[str, OfficialFile]:
        """The files below a folder: extracted, packed one by one, or in the official zip.

        Args:
            data_dir: the folder that holds them, or the one that holds `folder` or
                its zip.

        Raises:
            UserError: naming the files that are missing and where to get them.
        """
        if not os.path.isdir(data_dir):
            raise UserError(f"--data-dir {data_dir}: is no folder; {self._wanted()}")
        found = {name: self._look_up(data_dir, name) for name in self.files}
        missing = [name for name, file in found.items() if file is None]
        if missing:
            raise UserError(f"--data-dir {data_dir}: lacks {', '.join(missing)}; {self._wanted()}")
        return found

    def downloaded(self, paths: Mapping[str, str]) -> dict[str, OfficialFile]:
        """The files in what was downloaded: `paths` maps each URL to the file it became."""
        found = {}
        for url, path in paths.items():
            if url.endswith(".zip"):
                found.update({name: file for name in self.files if (file := _in_zip(path, name))})
            else:
                name = url.rsplit("/", 1)[-1].removesuffix(".gz")
                found[name] = OfficialFile(name, path, "gzip" if url.endswith(".gz") else "plain")
        return found

    def unreachable(self, reason: object) -> UserError:
        """The error for a download that did not work."""
        return UserError(f"{self.title} cannot be downloaded ({reason}); {self._wanted()}")

    def _wanted(self) -> str:
        source = " and ".join(self.urls) or f"{self.homepage} (needs an account)"
        return (f"{self.title} consists of {', '.join(self.files)}: get them from {source}, put them, "
                "extracted or as downloaded, into a folder and name the folder with --data-dir")

    def _look_up(self, data_dir: str, name: str) -> OfficialFile | None:
        folders = [data_dir, *([os.path.join(data_dir, self.folder)] if self.folder else [])]
        for folder in folders:
            for suffix, packing in (("", "plain"), (".gz", "gzip"), (".tar.gz", "tar")):
                path = os.path.join(folder, name + suffix)
                if os.path.isfile(path):
                    return OfficialFile(name, path, packing)
        archive = os.path.join(data_dir, f"{self.folder}.zip")
        return _in_zip(archive, name) if self.folder and os.path.isfile(archive) else None


def _in_zip(path: str, name: str) -> OfficialFile | None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except zipfile.BadZipFile as error:
        raise UserError(f"{path}: is no zip archive: {error}; download it again") from error
    member = next((m for m in members if m.rsplit("/", 1)[-1] == name), None)
    return OfficialFile(name, path, "zip", member) if member else None
