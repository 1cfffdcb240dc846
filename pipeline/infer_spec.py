"""`ctrl init`: a first dataset specification, inferred from a log."""

from __future__ import annotations

import json
import os
import pathlib
import re

import yaml

from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from models.spec.feature import RESERVED_ENDINGS, RESERVED_NAMES
from pipeline.column_profile import ColumnProfile, shorten
from pipeline.log_sample import LogSample
from pipeline.spec_guess import LIST_OF_PAST_WORDS, SpecGuess

# What the opening calls an item, where a column's name says it.
ITEM_NOUNS = {"movie": "a movie", "product": "a product", "ad": "an advertisement",
              "adgroup": "an advertisement", "article": "an article", "news": "a news article",
              "book": "a book", "song": "a song", "track": "a song", "video": "a video"}


def infer_spec(path: str, name: str | None = None, sample_rows: int = 100_000,
               source_path: str | None = None) -> str:
    """Writes a first dataset specification for a log, with comments to edit it by.

    Args:
        path: one CSV (also `.csv.gz`) or Parquet file of the log.
        name: the specification's name; the file's name when absent.
        sample_rows: rows that are read to judge by.
        source_path: what stands as `source.path`; `path` when absent.

    Returns:
        YAML text that `DatasetSpec.parse` accepts.

    Raises:
        UserError: the file cannot be read, has no header or rows, or no column that
            could be the label.

    Example:

    ```python
    print(infer_spec("clicks.csv", name="clicks"))
    ```
    """
    sample = LogSample(path, sample_rows)
    guess = SpecGuess(path, sample.frame, sample.decimal)
    name = name or _slug(pathlib.Path(path).name.split(".")[0], "-") or "my-log"
    names = _feature_names(guess)
    part = "all" if sample.whole else "the first"
    lines = [
        f"# A first dataset specification, inferred from {part} {len(sample.frame):,} rows of "
        f"{pathlib.Path(path).name}.",
        "# Check the label, the sides and the phrases, then see what becomes of your rows:",
        f"#   ctrl preview --dataset {name}.yaml",
        "# All keys: docs/dataset-specification.md",
        f"name: {_scalar(name)}",
        *_source(sample, source_path or path),
        *_label(guess),
        *_split(guess),
        *_openings(guess),
        *_ids(guess, names),
        *_features(guess, names),
        *_slices(guess, names),
    ]
    text = "\n".join(lines) + "\n"
    DatasetSpec.parse(text, where=f"the specification inferred from {path}")
    return text


def write_spec(log_path: str, output_path: str, force: bool = False) -> str:
    """Writes the inferred specification of `log_path` to `output_path`.

    Args:
        log_path: the log, as for `infer_spec`.
        output_path: the YAML file to write; its stem is the specification's name.
        force: whether an existing file is replaced.

    Returns:
        What to tell the user.

    Raises:
        UserError: as `infer_spec`; or `output_path` exists without `force`, or cannot
            be written.
    """
    output = pathlib.Path(output_path)
    if output.exists() and not force:
        raise UserError(f"{output_path}: exists already; choose another name, or replace it with --force")
    # Relative, so that the log and its specification can move together.
    source = os.path.relpath(pathlib.Path(log_path).resolve(), output.resolve().parent)
    text = infer_spec(log_path, _slug(output.stem, "-") or None, source_path=pathlib.Path(source).as_posix())
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{output_path}: cannot be written: {error.strerror}") from error
    return f"Wrote {output_path}. Edit it, then: ctrl preview --dataset {output_path}"


def _source(sample: LogSample, path: str) -> list[str]:
    lines = ["source:", f"  format: {sample.format}", f"  path: {_scalar(path)}"]
    if sample.delimiter != ",":
        lines.append(f"  delimiter: {json.dumps(sample.delimiter)}")
    if sample.decimal != ".":
        lines.append(f"  decimal: {json.dumps(sample.decimal)}")
    if sample.encoding != "utf-8":
        lines.append(f"  encoding: {sample.encoding}")
    return lines


def _label(guess: SpecGuess) -> list[str]:
    lines = ["", "# Candidates for the label:"]
    lines += [f"#   {_comment(c)}: {guess.profiles[c].describe()}" for c in guess.label_candidates]
    lines += ["label:", f"  column: {_scalar(guess.label)}"]
    if guess.is_rating:
        numbers = guess.profiles[guess.label].numbers
        low, high = float(numbers[0]), float(numbers[-1])
        middle = 3.0 if high == 5 else (low + high) / 2
        lines += [f"  threshold: {middle:g}  # a higher rating is positive, any other negative",
                  f"  # drop: [{middle:g}]  # leaves out rows that say neither"]
    return lines


def _split(guess: SpecGuess) -> list[str]:
    user = guess.id_of("user")
    if guess.time:
        return ["", f"# {_comment(guess.time)}: {guess.profiles[guess.time].describe('time')}",
                "# Train on the past, test on the newest rows; or by: user_time with the key user: a cut per "
                "user.",
                "split:", "  by: time", f"  time: {_scalar(guess.time)}",
                "  fractions: {train: 0.8, validation: 0.1, test: 0.1}"]
    lines = [""]
    for column in guess.unread_times:
        lines += [f"# {_comment(column)}: looks like a time in a form that cannot be read, as "
                  f"{shorten(guess.profiles[column].unread_moment)!r};",
                  "#   rewrite it as ISO 8601, as 2024-03-01T21:04:10."]
    lines += ["# No column of times was found, so rows are divided at random.", "split:", "  by: hash"]
    if user:
        lines.append(f"  # key: [{_scalar(user)}]  # keeps all rows of a user in one split")
    return [*lines, "  fractions: {train: 0.8, validation: 0.1, test: 0.1}"]


def _openings(guess: SpecGuess) -> list[str]:
    words = {w for c, side in guess.sides.items() if side == "item" for w in guess.profiles[c].words}
    noun = next((ITEM_NOUNS[w] for w in ITEM_NOUNS if w in words), "an item")
    return ["", "# How each side's part of the sentence begins.", "openings:", "  user: This is a user",
            f"  item: This is {noun}", "  context: This is the context"]


def _ids(guess: SpecGuess, names: dict[str, str]) -> list[str]:
    known = {side: [names[c] for c in guess.names_of(side)] for side in ("user", "item")}
    if not any(known.values()):
        return []
    ids = ", ".join(f"{side}: [{', '.join(of_side)}]" for side, of_side in known.items())
    return ["", "# What a user and an item are known by; for new ones, rows of these are made from their texts.",
            f"ids: {{{ids}}}"]


def _features(guess: SpecGuess, names: dict[str, str]) -> list[str]:
    lines = ["", "# side: user, item or context; kind: categorical, numeric, set or history;",
             "# text: how it reads in the sentence (false: not at all); model: false keeps it from the ID "
             "model.",
             "features:"]
    for side in ("user", "item", "context"):
        for column in (c for c, s in guess.sides.items() if s == side):
            lines += _feature(guess, column, names)
    if "history" not in guess.kinds.values():
        lines += _derived_history(guess, names)
    if guess.left_out:
        lines.append("# Left out:")
        lines += [f"#   {_comment(c)}: {_comment(reason)}" for c, reason in guess.left_out.items()]
    return lines


def _feature(guess: SpecGuess, column: str, names: dict[str, str]) -> list[str]:
    profile, kind, name = guess.profiles[column], guess.kinds[column], names[column]
    lines = [f"  # {profile.describe(kind)}"]
    if column in guess.label_candidates:
        lines.append("  # Remove it if it is another outcome of the same row, unknown when a request comes.")
    lines.append(f"  - name: {name}")
    if name != column:
        lines.append(f"    column: {_scalar(column)}")
    lines += [f"    side: {guess.sides[column]}", f"    kind: {kind}"]
    words = " ".join(w for w in profile.words if w not in ("user", "item")) or name.replace("_", " ")
    silent = guess.is_id(column)
    if kind in ("set", "history"):
        lines += _list_keys(profile, kind)
    if kind == "history":
        of = guess.of[column]
        lines.append(f"    of: {names[of]}")
        silent = guess.is_id(of)
        past = " ".join(w for w in profile.words if w not in LIST_OF_PAST_WORDS | {"user"}) or "items"
        phrase = f"whose recent {past} are {{}}"
    else:
        phrase = f"{words} {'are' if kind == 'set' and words.endswith('s') else 'is'} {{}}"
    lines.append("    text: false" if silent else f"    text: {json.dumps(phrase)}")
    return lines


def _list_keys(profile: ColumnProfile, kind: str) -> list[str]:
    lines = []
    separator = (profile.separator or "|").strip()
    if separator != "|":
        lines.append(f"    separator: {json.dumps(separator)}")
    if profile.longest > 10 and kind == "set":
        lines.append(f"    max_length: {min(profile.longest, 30)}  # cells hold up to {profile.longest}")
    return lines


def _derived_history(guess: SpecGuess, names: dict[str, str]) -> list[str]:
    """A commented feature: what a user did before, built from the log."""
    user, item = guess.id_of("user"), guess.id_of("item")
    if not (user and item and guess.time):
        return []
    titles = [c for c, s in guess.sides.items() if s == "item" and guess.kinds[c] == "categorical"
              and not guess.is_id(c)]
    title = max(titles, key=lambda c: len(guess.profiles[c].counts), default=None)
    text = f'{{phrase: "who has recently liked {{}}", feature: {names[title]}}}' if title else "false"
    return ["  # What a user liked before, built from the log's earlier rows:",
            "  # - name: liked", "  #   side: user", "  #   kind: history", f"  #   of: {names[item]}",
            f"  #   derive: {{user: {_scalar(user)}, time: {_scalar(guess.time)}}}", f"  #   text: {text}"]


def _slices(guess: SpecGuess, names: dict[str, str]) -> list[str]:
    slices = ", ".join(names[c] for c in guess.slices)
    return ["", "# The evaluation reports each value of these by itself.", f"slices: [{slices}]"]


def _feature_names(guess: SpecGuess) -> dict[str, str]:
    """A valid, unique feature name for each feature's column."""
    names = {}
    for column in guess.sides:
        name = base = _slug(column, "_").lstrip("0123456789_") or "feature"
        if name in RESERVED_NAMES or name.endswith(RESERVED_ENDINGS):
            name = base = f"{base}_field"
        number = 2
        while name in names.values():
            name, number = f"{base}_{number}", number + 1
        names[column] = name
    return names


def _slug(text: str, joint: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+" if joint == "_" else r"[^A-Za-z0-9_-]+", joint, text).strip("_-")


def _scalar(text: str) -> str:
    """Text as a YAML scalar, in quotes only where it needs them."""
    plain = re.fullmatch(r"[A-Za-z0-9_./][A-Za-z0-9_./-]*", text) and yaml.safe_load(text) == text
    return text if plain else json.dumps(text, ensure_ascii=False)


def _comment(text: str) -> str:
    return shorten(text, 90)
