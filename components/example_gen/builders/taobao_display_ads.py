"""Taobao display advertising (Alibaba)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow_datasets as tfds

from components.example_gen.builders.archive import Archive
from components.example_gen.builders.official_file import OfficialFile
from components.example_gen.builders.row_builder import RowBuilder
from components.example_gen.csv_reader import CsvReader
from components.example_gen.rejected import Rejected
from components.example_gen.row import Row

_SAMPLE, _ADS, _USERS = "raw_sample.csv", "ad_feature.csv", "user_profile.csv"
_ARCHIVE = Archive(
    title="Taobao display advertising",
    homepage="https://tianchi.aliyun.com/dataset/56",
    files=(_SAMPLE, _ADS, _USERS),
)
_SAMPLE_COLUMNS = ("user", "time_stamp", "adgroup_id", "pid", "clk")
_AD_COLUMNS = ("cate_id", "campaign_id", "customer", "brand", "price")
_USER_COLUMNS = ("cms_segid", "cms_group_id", "final_gender_code", "age_level", "pvalue_level",
                 "shopping_level", "occupation")
# The official header ends in a blank.
_CITY_COLUMN = "new_user_class_level"


class TaobaoDisplayAds(RowBuilder):
    """Impressions of display ads with the user's profile and the ad's attributes, a row each.

    Eight days, 6 to 13 May 2017 (Shanghai time). Users without a profile and ads without
    attributes keep their id; `NULL` is a missing value.
    """

    VERSION = tfds.core.Version("1.0.0")
    COLUMNS = {
        "user": str,
        "time_stamp": np.int64,
        "adgroup_id": str,
        "pid": str,
        "clk": np.int64,
        "cate_id": str,
        "campaign_id": str,
        "customer": str,
        "brand": str,
        "price": np.float32,
        **dict.fromkeys((*_USER_COLUMNS, _CITY_COLUMN), str),
    }
    CITATION = """@misc{taobao2018ads,
  title={Ad Display/Click Data on Taobao.com},
  author={Tianchi}, year={2018}, url={https://tianchi.aliyun.com/dataset/56}
}"""

    @classmethod
    def archive(cls, config: str | None) -> Archive:
        return _ARCHIVE

    @classmethod
    def rows(cls, files: Mapping[str, OfficialFile], config: str | None) -> Iterator[Row | Rejected]:
        return taobao_rows(files)


def taobao_rows(files: Mapping[str, OfficialFile]) -> Iterator[Row | Rejected]:
    """The impressions, joined with users and ads; malformed lines of any file as `Rejected`.

    Args:
        files: as `TaobaoDisplayAds.archive(None).find(folder)` finds them.
    """
    # A million users and ads are held: tuples of shared strings, not dictionaries.
    ads: dict[str, tuple] = {}
    for row in _read(files[_ADS], ("adgroup_id", *_AD_COLUMNS)):
        if isinstance(row, Row):
            ad, *others, price = _known(row)
            try:
                ads[ad] = (*others, None if price is None else float(price))
                continue
            except ValueError:
                row = _reject(row, f"column 'price' is {price!r}, not a number")
        yield row
    users: dict[str, tuple] = {}
    for row in _read(files[_USERS], ("userid", *_USER_COLUMNS, f"{_CITY_COLUMN} ")):
        if isinstance(row, Row):
            user, *others = _known(row)
            users[user] = tuple(others)
        else:
            yield row
    no_ad, no_user = (None,) * len(_AD_COLUMNS), (None,) * (len(_USER_COLUMNS) + 1)
    user_columns = (*_USER_COLUMNS, _CITY_COLUMN)
    for row in _read(files[_SAMPLE], _SAMPLE_COLUMNS):
        if isinstance(row, Row):
            try:
                values = _impression(row)
            except ValueError as error:
                row = _reject(row, str(error))
            else:
                values.update(zip(_AD_COLUMNS, ads.get(values["adgroup_id"], no_ad)))
                values.update(zip(user_columns, users.get(values["user"], no_user)))
                row = Row(values, row.file, row.line)
        yield row


def _read(file: OfficialFile, columns: Sequence[str]) -> Iterator[Row | Rejected]:
    with file.open() as stream:
        yield from CsvReader(columns).read_stream(stream, file.name)


def _known(row: Row) -> list[str | None]:
    return [None if v in ("", "NULL") else sys.intern(v) for v in row.values.values()]


def _impression(row: Row) -> dict:
    values = dict(row.values)
    for column in ("user", "adgroup_id"):
        if values[column] in ("", "NULL"):
            raise ValueError(f"column '{column}' is missing")
    for column in ("time_stamp", "clk"):
        try:
            values[column] = int(values[column])
        except ValueError:
            raise ValueError(f"column '{column}' is {values[column]!r}, not a number") from None
    return values


def _reject(row: Row, reason: str) -> Rejected:
    return Rejected(row.file, row.line, reason, ",".join(row.values.values()))
