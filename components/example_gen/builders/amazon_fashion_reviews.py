"""Amazon Fashion reviews, the release of 2018."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow_datasets as tfds

from components.example_gen.builders.archive import Archive
from components.example_gen.builders.official_file import OfficialFile
from components.example_gen.builders.row_builder import RowBuilder
from components.example_gen.rejected import Rejected
from components.example_gen.row import Row

_URL = "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2"
_REVIEWS, _META = "AMAZON_FASHION.json", "meta_AMAZON_FASHION.json"
_ARCHIVE = Archive(
    title="Amazon Fashion (2018)",
    homepage="https://nijianmo.github.io/amazon/index.html",
    files=(_REVIEWS, _META),
    urls=(f"{_URL}/categoryFiles/{_REVIEWS}.gz", f"{_URL}/metaFiles2/{_META}.gz"),
)
_PRICE = re.compile(r"^\$([\d,]+(?:\.\d+)?)(?:\s*-\s*\$([\d,]+(?:\.\d+)?))?$")
_FEATURES = 5


class AmazonFashionReviews(RowBuilder):
    """Reviews of fashion articles with the article's attributes, one row a review.

    The review's own words are left out: they are written after the rating that is to be
    predicted. `price` is in dollars, the middle of a range; `feature` joins the first
    five points of the product page by `|`. Articles without metadata keep their id.
    """

    VERSION = tfds.core.Version("1.0.0")
    COLUMNS = {
        "reviewerID": str,
        "asin": str,
        "overall": np.float32,
        "unixReviewTime": np.int64,
        "verified": str,
        "title": str,
        "brand": str,
        "price": np.float32,
        "feature": str,
    }
    CITATION = """@inproceedings{ni2019justifying,
  title={Justifying Recommendations using Distantly-Labeled Reviews and Fine-Grained Aspects},
  author={Ni, Jianmo and Li, Jiacheng and McAuley, Julian},
  booktitle={EMNLP}, year={2019}
}"""

    @classmethod
    def archive(cls, config: str | None) -> Archive:
        return _ARCHIVE

    @classmethod
    def rows(cls, files: Mapping[str, OfficialFile], config: str | None) -> Iterator[Row | Rejected]:
        return amazon_rows(files)


def amazon_rows(files: Mapping[str, OfficialFile]) -> Iterator[Row | Rejected]:
    """The reviews, joined with the articles; malformed lines of either file as `Rejected`.

    An article that the metadata list twice is taken as it stands first.

    Args:
        files: as `AmazonFashionReviews.archive(None).find(folder)` finds them.
    """
    articles: dict[str, dict] = {}
    for line, text, entry in _entries(files[_META]):
        try:
            asin = _text(_required(entry, "asin"))
        except ValueError as error:
            yield Rejected(_META, line, str(error), text)
            continue
        if asin not in articles:
            articles[asin] = _article(entry)
    unknown = {"title": None, "brand": None, "price": None, "feature": None}
    for line, text, entry in _entries(files[_REVIEWS]):
        try:
            asin = _text(_required(entry, "asin"))
            values = {
                "reviewerID": _text(_required(entry, "reviewerID")),
                "asin": asin,
                "overall": _number(float, entry, "overall"),
                "unixReviewTime": _number(int, entry, "unixReviewTime"),
                "verified": "yes" if entry.get("verified") else "no",
                **articles.get(asin, unknown),
            }
        except ValueError as error:
            yield Rejected(_REVIEWS, line, str(error), text)
        else:
            yield Row(values, _REVIEWS, line)


def _entries(file: OfficialFile) -> Iterator[tuple[int, str, object]]:
    """(line, text, entry) of each line; the entry of a broken one is the error."""
    with file.open() as stream:
        for line, data in enumerate(stream, 1):
            data = data.rstrip()
            if not data:
                continue
            try:
                entry = json.loads(data)
            except UnicodeDecodeError as error:
                place = f"byte 0x{data[error.start]:02x} at byte {error.start + 1}"
                entry = ValueError(f"is not valid utf-8 ({place})")
            except json.JSONDecodeError as error:
                entry = ValueError(f"is not valid JSON: {error.msg} at character {error.colno}")
            yield line, data.decode("utf-8", "backslashreplace"), entry


def _required(entry: object, key: str):
    if isinstance(entry, ValueError):
        raise entry
    if not isinstance(entry, dict):
        raise ValueError(f"is {type(entry).__name__}, not a JSON object")
    if entry.get(key) in (None, ""):
        raise ValueError(f"column '{key}' is missing")
    return entry[key]


def _number(convert, entry: object, key: str):
    value = _required(entry, key)
    try:
        return convert(value)
    except (TypeError, ValueError):
        raise ValueError(f"column '{key}' is {value!r}, not a number") from None


def _article(entry: dict) -> dict:
    features = entry.get("feature")
    points = [_text(p) for p in features[:_FEATURES]] if isinstance(features, list) else []
    return {
        "title": _text(entry.get("title")) or None,
        "brand": _text(entry.get("brand")) or None,
        "price": _price(_text(entry.get("price"))),
        "feature": "|".join(p.replace("|", "/") for p in points if p) or None,
    }


def _text(value: object) -> str:
    """A value in plain words; page scripts that the crawl took for one (`getTime`) are no words."""
    text = " ".join(html.unescape(str(value)).split()) if value is not None else ""
    return "" if "getTime" in text else text


def _price(text: str) -> float | None:
    match = _PRICE.match(text)
    if not match:
        return None
    amounts = [float(a.replace(",", "")) for a in match.groups() if a]
    return sum(amounts) / len(amounts)
