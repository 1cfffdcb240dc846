"""What looks wrong in a log, or in what its specification says of it."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import re
from collections.abc import Iterator, Sequence

import numpy as np

from models.spec.feature import Feature
from models.spec.split_rule import SPLITS
from pipeline.column_profile import share, shorten
from pipeline.previewed_log import PreviewedLog
from pipeline.settings.ingestion import Ingestion

# A single feature that tells this much of the label was most likely made from it.
LEAKAGE_AUC = 0.98
MAX_REJECTED_SHARE = Ingestion().max_rejected_share
MAX_SLICES = 100
# With fewer rows, constant or all-different values are chance.
MIN_ROWS = 50


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something to look at.

    Attributes:
        level: `error` (a run would stop), `warning`, or `note`.
        text: what is wrong, where, and what would be right.
    """

    level: str
    text: str


def find_problems(log: PreviewedLog) -> list[Problem]:
    """All problems found, the gravest first.

    Args:
        log: the rows read.

    Example:

    ```python
    for problem in find_problems(PreviewedLog(spec)):
        print(problem.level, problem.text)
    ```
    """
    problems = list(itertools.chain(_reading(log), _label(log), _split(log), _specification(log)))
    for feature in log.spec.features if log.labels else ():
        problems += _feature(log, feature)
    return sorted(problems, key=lambda p: ("error", "warning", "note").index(p.level))


def _reading(log: PreviewedLog) -> Iterator[Problem]:
    if log.failure:
        yield Problem("error", log.failure)
    elif not log.labels:
        yield Problem("error", f"no row can be used: {log.read:,} read, {log.dropped:,} dropped by the label "
                               f"rule, {len(log.rejected):,} rejected; check the keys source and label")
    if log.cut:
        yield Problem("note", f"only the first {log.read:,} rows were read; shares, splits and derived "
                              "histories are of these (--limit reads more)")
    if not log.rejected:
        return
    part = len(log.rejected) / log.read
    stops = part > MAX_REJECTED_SHARE
    yield Problem("error" if stops else "warning",
                  f"{len(log.rejected):,} rows ({share(part)}) are rejected; "
                  + (f"a run stops above {share(MAX_REJECTED_SHARE)} (ingestion.max_rejected_share)" if stops
                     else "a run leaves them out"))
    numbers = collections.defaultdict(list)
    for row in log.rejected:
        found = re.match(r"column '(.+)' is (.+), not a number$", row.reason)
        if found:
            numbers[found[1]].append(found[2])
    for column, values in numbers.items():
        yield Problem("warning", f"column {column!r} is no number in {len(values):,} of them, as "
                                 f"{shorten(values[0])}; leave such cells empty, or use kind: categorical")


def _label(log: PreviewedLog) -> Iterator[Problem]:
    if log.labels and len(set(log.labels)) == 1:
        what = "positive" if log.labels[0] else "negative"
        yield Problem("error", f"label.column: every row of {log.spec.label.column!r} is {what}, so there is "
                               "nothing to learn; check label.column, label.threshold and label.drop")


def _split(log: PreviewedLog) -> Iterator[Problem]:
    if not log.labels:
        return
    labels = collections.defaultdict(set)
    for split, label in zip(log.splits, log.labels):
        labels[split].add(label)
    for split in SPLITS:
        if split not in labels:
            yield Problem("error", f"split: {split} is empty; change split.fractions or split.by"
                          + (", or read more rows with --limit" if log.cut else ", or give more rows"))
        elif len(labels[split]) == 1 and len(set(log.labels)) > 1:
            yield Problem("error", f"split: {split} has one class only, so it has no AUC; give it a larger "
                                   "share in split.fractions")
    for side in ("user", "item"):
        ids = [f for f in log.spec.side(side) if f.kind == "categorical"]
        if not ids:
            continue
        # The identifier is the feature with the most values.
        feature = max(ids, key=lambda f: len(log.counts(f.name)))
        rows = list(zip(log.splits, log.values(feature.name)))
        known = {v for split, values in rows if split == "train" for v in values}
        test = [v for split, values in rows if split == "test" for v in values]
        new = [v for v in test if v not in known]
        if new:
            yield Problem("note", f"{share(len(new) / len(test))} of the test rows have a {feature.name} "
                                  f"that never occurs in train ({len(set(new)):,} different): cold start")


def _specification(log: PreviewedLog) -> Iterator[Problem]:
    spec = log.spec
    if not spec.text_sides:
        yield Problem("error", "features: nothing to align: give at least one feature a text")
    for side in ("user", "item") if spec.text_sides else ():
        if side not in spec.text_sides:
            yield Problem("warning", f"no feature of the {side} side has text, so the language model reads "
                                     f"nothing of the {side}; add one with the key text")
    for feature in spec.features:
        if spec.split.time and feature.source_column == spec.split.time:
            yield Problem("warning", f"features[{feature.name}] is the time that divides the log: its values "
                                     "in test never occur in train; leave it out")
    for name in spec.slices if log.labels else ():
        values = len(log.counts(name))
        if values > MAX_SLICES:
            yield Problem("warning", f"slices: {name} has {values:,} values, each of them a slice; choose "
                                     "features with few values")


def _feature(log: PreviewedLog, feature: Feature) -> Iterator[Problem]:
    if not log.counts(feature.name):
        yield Problem("warning", f"features[{feature.name}] is missing in every row; leave it out, or check "
                                 "its column")
        return
    if len(log.labels) >= MIN_ROWS and not feature.derive:
        yield from _values(log, feature)
    if feature.text and feature.text.values:
        yield from _value_map(log, feature)
    if feature.kind == "history" and not feature.derive:
        yield from _history(log, feature)


def _values(log: PreviewedLog, feature: Feature) -> Iterator[Problem]:
    """What makes a feature useless, or too good to be true."""
    where, lists, found = f"features[{feature.name}]", log.values(feature.name), log.counts(feature.name)
    present, first = sum(map(bool, lists)), _show(next(iter(found)))
    if len(found) == 1 and present == len(lists):
        yield Problem("warning", f"{where} is {first} in every row; it tells nothing, leave it out")
    if feature.kind == "categorical" and len(found) == present >= MIN_ROWS:
        yield Problem("warning", f"{where} has a different value in every row (as {first}), so none can be "
                                 "learnt; leave it out, or use kind: numeric for an amount")
    if feature.is_list and max(map(len, lists)) == 1 and feature.max_length > 1:
        yield Problem("warning", f"{where} never holds more than one entry (as {first}); check its "
                                 f"separator, now {feature.separator!r}, or use kind: categorical")
    # At random, since every second row, or the first half, may mean something in a log.
    learn = np.random.default_rng(0).random(len(lists)) < 0.5
    auc = single_feature_auc(lists, log.labels, learn, feature.kind == "numeric")
    if auc is not None and auc > LEAKAGE_AUC:
        yield Problem("warning", f"{where} alone tells the label (AUC {auc:.3f}): it leaks what a request "
                                 "cannot know yet; leave it out unless it is known before the click")


def _value_map(log: PreviewedLog, feature: Feature) -> Iterator[Problem]:
    words = {_word(v) for v in log.counts(feature.history_text or feature.name)}
    never = [key for key in feature.text.values if key not in words]
    if never:
        yield Problem("warning", f"features[{feature.name}].text.values: {_some(never)} never "
                                 f"{'occurs' if len(never) == 1 else 'occur'} in the rows read, which hold "
                                 f"{_some(sorted(words))}")


def _history(log: PreviewedLog, feature: Feature) -> Iterator[Problem]:
    found, items = log.counts(feature.name), log.counts(feature.of)
    foreign = {entry: n for entry, n in found.items() if entry not in items}
    if foreign:
        part = sum(foreign.values()) / found.total()
        yield Problem("warning" if part > 0.05 else "note",
                      f"features[{feature.name}]: {share(part)} of the entries, as {_some(list(foreign))}, "
                      f"are no values of the item feature {feature.of!r}; check of and separator, now "
                      f"{feature.separator!r}")


def single_feature_auc(lists: Sequence[Sequence], labels: Sequence[int], learn: np.ndarray,
                       numeric: bool) -> float | None:
    """AUC of one feature's values against the label, on rows that did not set their scores.

    Some rows give each value its share of positives, and the others are ranked by these;
    a number counts by its quantile of 50, a missing value as one of its own.

    Args:
        lists: the feature's values, one list a row.
        labels: 0 or 1 a row.
        learn: bool, which rows set the shares.
        numeric: whether the values are numbers.

    Returns:
        0 to 1, or None when the rows that are ranked have one class only.
    """
    if numeric:
        edges = np.quantile([v for values in lists for v in values], np.linspace(0, 1, 51)[1:-1])
        lists = [np.searchsorted(edges, values).tolist() for values in lists]
    codes: dict = {}
    lengths = np.array([max(1, len(values)) for values in lists])
    flat = np.array([codes.setdefault(v, len(codes)) for values in lists for v in values or (None,)])
    rows = np.repeat(np.arange(len(lists)), lengths)
    y = np.array(labels, float)
    seen = learn[rows]
    prior = y[learn].mean() if learn.any() else 0.5
    positive = np.bincount(flat[seen], y[rows[seen]], len(codes)) + prior
    rates = positive / (np.bincount(flat[seen], minlength=len(codes)) + 1)
    scores = np.bincount(rows, rates[flat]) / lengths
    return _auc(scores[~learn], y[~learn])


def _auc(scores: np.ndarray, labels: np.ndarray) -> float | None:
    positives = labels.sum()
    negatives = len(labels) - positives
    if not positives or not negatives:
        return None
    _, inverse, ties = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[inverse]  # the mean rank of ties
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _word(value) -> str:
    """A value as a value map names it."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else format(value, ".6g")
    return value


def _show(value) -> str:
    return _word(value) if isinstance(value, float) else repr(shorten(value))


def _some(values: list) -> str:
    return ", ".join(map(_show, values[:5])) + (", ..." if len(values) > 5 else "")
