"""The tensorflow-datasets builder that our own ones extend."""

from __future__ import annotations

import abc
import json
import logging
import os
from collections.abc import Iterator, Mapping

import requests
import tensorflow_datasets as tfds

from components.example_gen.builders.archive import Archive
from components.example_gen.builders.official_file import OfficialFile
from components.example_gen.rejected import Rejected
from components.example_gen.row import Row
from components.example_gen.tfds_reader import ORIGIN, REJECTED

_log = logging.getLogger("ctrl.prepare")
_PROGRESS_ROWS = 100_000


class RowBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Turns the rows of an official archive into a tensorflow-datasets data set.

    All rows are in the split `train`: the dataset specification splits them. Every
    column is optional, so that a missing value stays missing, and so that a malformed
    row is kept too, with its reason, for `TfdsReader` to report.

    The archive is downloaded unless `files`, what `archive(config).find(folder)` found,
    is set first.

    A subclass names its `COLUMNS` (column to dtype) and implements `archive` and `rows`.
    """

    COLUMNS: Mapping[str, type] = {}
    CITATION = ""
    files: Mapping[str, OfficialFile] | None = None

    @classmethod
    @abc.abstractmethod
    def archive(cls, config: str | None) -> Archive:
        """The official archive of a config."""

    @classmethod
    @abc.abstractmethod
    def rows(cls, files: Mapping[str, OfficialFile], config: str | None) -> Iterator[Row | Rejected]:
        """The rows of the archive's files."""

    def _info(self) -> tfds.core.DatasetInfo:
        columns = {**self.COLUMNS, ORIGIN: str, REJECTED: str}
        return tfds.core.DatasetInfo(
            builder=self,
            description=type(self).__doc__,
            features=tfds.features.FeaturesDict({
                name: tfds.features.Text(optional=True) if dtype is str
                else tfds.features.Scalar(dtype, optional=True)
                for name, dtype in columns.items()
            }),
            homepage=self._archive.homepage,
            citation=self.CITATION,
        )

    @property
    def _config(self) -> str | None:
        return self.builder_config.name if self.builder_config else None

    @property
    def _archive(self) -> Archive:
        return self.archive(self._config)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        return {"train": self._generate_examples(self.files or self._download(dl_manager))}

    def _download(self, dl_manager: tfds.download.DownloadManager) -> dict[str, OfficialFile]:
        archive = self._archive
        if not archive.urls:
            raise archive.unreachable("an account is needed")
        try:
            # tensorflow-datasets tries for minutes; without internet this fails at once.
            requests.head(archive.urls[0], timeout=20)
            paths = dl_manager.download({url: url for url in archive.urls})
        except (OSError, tfds.download.DownloadError) as error:
            raise archive.unreachable(type(error).__name__) from error
        return archive.downloaded({url: os.fspath(path) for url, path in paths.items()})

    def _generate_examples(self, files: Mapping[str, OfficialFile]) -> Iterator[tuple[int, dict]]:
        empty = dict.fromkeys(self.COLUMNS)
        for number, row in enumerate(self.rows(files, self._config)):
            if number % _PROGRESS_ROWS == 0:
                _log.info("preparing %s, once: %s rows", self.info.full_name, f"{number:,}")
            rejected, values = None, empty
            if isinstance(row, Rejected):
                rejected = json.dumps({"reason": row.reason, "raw": row.raw})
            else:
                values = row.values
            yield number, {**values, ORIGIN: f"{row.file}:{row.line}", REJECTED: rejected}
