"""Prepares a tensorflow-datasets data set, once."""

from __future__ import annotations

import contextlib
import difflib
import io
import os

import tensorflow_datasets as tfds

from components.example_gen.builders.amazon_fashion_reviews import AmazonFashionReviews
from components.example_gen.builders.movielens_ratings import MovielensRatings
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
    base, _, config = name.partition("/")
    if data_dir is not None:
        root = os.path.join(root, fingerprint(_official_paths(base, config, data_dir))[:16])
    with contextlib.nullcontext() if progress else contextlib.redirect_stdout(io.StringIO()):
        if not progress:
            tfds.disable_progress_bar()
        builder = _builder(name, root)
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


def _official_paths(base: str, config: str, data_dir: str) -> list[str]:
    if base in _OURS:
        names = [c.name for c in _OURS[base].BUILDER_CONFIGS]
        config = config.split(":")[0] or (names[0] if names else "")
        if not names or config in names:
            return sorted({f.path for f in _OURS[base].archive(config or None).find(data_dir).values()})
    if not os.path.isdir(data_dir):
        raise UserError(f"--data-dir {data_dir}: is no folder")
    return sorted(os.path.join(folder, file) for folder, _, files in os.walk(data_dir) for file in files)


def _builder(name: str, root: str) -> tfds.core.DatasetBuilder:
    try:
        return tfds.builder(name, data_dir=root, try_gcs=False)
    except tfds.core.DatasetNotFoundError as error:
        known = [*_OURS, *tfds.list_builders(with_community_datasets=False)]
        close = difflib.get_close_matches(name.split("/")[0], known, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise UserError(f"source.builder: {name!r} is no tensorflow-datasets builder{hint}") from error
    except ValueError as error:
        raise UserError(f"source.builder: {name!r}: {str(error).splitlines()[0]}") from error
