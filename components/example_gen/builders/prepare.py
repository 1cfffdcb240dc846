"""Prepares a tensorflow-datasets data set, once."""

from __future__ import annotations

import contextlib
import difflib
import io
import os

import tensorflow_datasets as tfds

from components.example_gen.builders.amazon_fashion_reviews import AmazonFashionReviews
from components.example_gen.builders.movielens_ratings import MovielensRatings
from components.example_gen.builders.official_file import OfficialFile
from components.example_gen.builders.taobao_display_ads import TaobaoDisplayAds
from components.example_gen.files import fingerprint
from models.spec.errors import UserError

_OURS = {b.name: b for b in (AmazonFashionReviews, MovielensRatings, TaobaoDisplayAds)}
# Several shards, so that ingestion can spread a log of a million rows over workers.
_MIN_SHARD_SIZE = 16 << 20


def prepare(
    name: str, data_dir: str | None = None, cache_dir: str | None = None, progress: bool = False
) -> tfds.core.DatasetBuilder:
    """Downloads and prepares a data set where it is not prepared yet.

    With `data_dir` nothing is downloaded, and what was prepared is used again only while
    the files there are unchanged.

    Args:
        name: a tensorflow-datasets name, ours or another, as `movielens_ratings/1m`.
        data_dir: folder of the official files.
        cache_dir: where prepared data are kept; tensorflow-datasets' own default when
            absent.
        progress: whether tensorflow-datasets shows what it does.

    Returns:
        The prepared builder.

    Raises:
        UserError: the name is unknown, files are missing, or a download fails.

    Example:

    ```python
    builder = prepare("movielens_ratings/100k", data_dir="ml-100k", cache_dir="cache")
    builder.info.splits["train"].num_examples  # 100000
    ```
    """
    root = os.path.expanduser(cache_dir or tfds.core.constants.DATA_DIR)
    downloads = os.path.join(root, "downloads")
    with contextlib.nullcontext() if progress else contextlib.redirect_stdout(io.StringIO()):
        if not progress:
            tfds.disable_progress_bar()
        _check_name(name, root)
        files = None
        if data_dir is not None:
            files = _official_files(name, data_dir)
            paths = {f.path for f in files.values()} if files else _all_files(data_dir)
            root = os.path.join(root, fingerprint(sorted(paths))[:16])
        builder = tfds.builder(name, data_dir=root, try_gcs=False)
        if files:
            builder.files = files
        try:
            builder.download_and_prepare(
                download_dir=downloads,
                download_config=tfds.download.DownloadConfig(
                    manual_dir=data_dir, try_download_gcs=False, min_shard_size=_MIN_SHARD_SIZE),
            )
        except (OSError, AssertionError, tfds.download.DownloadError) as error:
            # tensorflow-datasets asserts that files a person has to download are there.
            raise UserError(f"source.builder: {name} cannot be prepared: {error}") from error
    return builder


def shards(builder: tfds.core.DatasetBuilder, split: str) -> list[str]:
    """The files of a prepared split.

    Raises:
        UserError: there is no such split.
    """
    if split not in builder.info.splits:
        raise UserError(f"source.tfds_split: {builder.info.full_name} has no split {split!r}; there are: "
                        f"{', '.join(builder.info.splits)}")
    return sorted(os.fspath(path) for path in builder.info.splits[split].filepaths)


def _check_name(name: str, root: str) -> None:
    base, _, config = name.partition("/")
    try:
        builder = tfds.builder_cls(base)
    except tfds.core.DatasetNotFoundError as error:
        if os.path.isdir(os.path.join(root, base)):
            return  # Prepared by code that is not here; tensorflow-datasets reads it all the same.
        close = difflib.get_close_matches(base, tfds.list_builders(with_community_datasets=False), n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise UserError(f"source.builder: {base!r} is no tensorflow-datasets builder{hint}") from error
    configs = list(builder.builder_configs)
    config = config.split(":")[0]
    if config and config not in configs:
        raise UserError(f"source.builder: {base} has no config {config!r}; "
                        f"there are: {', '.join(configs) or 'none'}")


def _official_files(name: str, data_dir: str) -> dict[str, OfficialFile] | None:
    """The files of a builder of ours, None for any other."""
    base, _, config = name.partition("/")
    if base not in _OURS:
        return None
    configs = [c.name for c in _OURS[base].BUILDER_CONFIGS]
    return _OURS[base].archive(config.split(":")[0] or next(iter(configs), None)).find(data_dir)


def _all_files(data_dir: str) -> list[str]:
    if not os.path.isdir(data_dir):
        raise UserError(f"--data-dir {data_dir}: is no folder")
    return [os.path.join(folder, file) for folder, _, files in os.walk(data_dir) for file in files]
