"""The first rows of a log, to infer a specification from."""

from __future__ import annotations

import csv
import gzip
import io
import pathlib
import re

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from models.spec.errors import UserError
from pipeline.cell_forms import has_decimal_commas

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
# Enough to judge encoding and delimiter by.
_HEAD_BYTES = 1 << 20


class LogSample:
    """The first rows of a CSV or Parquet log, with how the file is to be read.

    Args:
        path: the file; CSV may be gzipped (`.gz`).
        rows: how many rows are read at most.

    Attributes:
        format: `csv` or `parquet`.
        delimiter: the CSV delimiter, found among `,` `;` tab `|`.
        decimal: the CSV decimal sign: `,` where a column has decimal commas, else `.`.
        encoding: the CSV encoding: `utf-8`, or `latin-1` where it is not valid UTF-8.
        frame: the rows. CSV cells are `str`, missing ones `""`; Parquet cells are
            Python values (lists for list columns), missing ones None.
        whole: whether the file ended before `rows` did.

    Raises:
        UserError: the file cannot be read, is empty, or has no header.

    Example:

    ```python
    sample = LogSample("clicks.csv", rows=1000)
    sample.frame["city"].value_counts()
    ```
    """

    def __init__(self, path: str, rows: int):
        self.path = path
        self.format, self.delimiter, self.encoding, self.decimal = "csv", ",", "utf-8", "."
        head = self._head()
        if head.startswith(b"PAR1"):
            self.format = "parquet"
            self.frame = self._read_parquet(rows + 1)
        else:
            self._check_text(head)
            self.frame = self._read_csv(head, rows + 1)
            self._check_recurrence()
            # Between commas, `1,234` in quotes is as likely one thousand or two entries.
            if self.delimiter != "," and any(has_decimal_commas(self.frame[c].tolist()) for c in self.frame):
                self.decimal = ","
        self.whole = len(self.frame) <= rows
        self.frame = self.frame.iloc[:rows]
        if self.frame.empty:
            raise UserError(f"{path}: has a header and no rows; give a log with some rows")

    def _open(self):
        return gzip.open(self.path, "rb") if self.path.endswith(".gz") else open(self.path, "rb")

    def _head(self) -> bytes:
        if not pathlib.Path(self.path).is_file():
            raise UserError(f"{self.path}: is no file; give the path of one CSV or Parquet file of the log")
        try:
            with self._open() as file:
                head = file.read(_HEAD_BYTES)
        except OSError as error:  # gzip's own error is one too
            raise UserError(f"{self.path}: cannot be read: {error}") from error
        if not head.strip():
            raise UserError(f"{self.path}: is empty; give a CSV file with a header line, or a Parquet file")
        return head

    def _check_text(self, head: bytes) -> None:
        if b"\0" in head:
            raise UserError(f"{self.path}: is neither text nor Parquet; a log is CSV (also .csv.gz) or "
                            "Parquet here, and for TFRecord write the specification by hand "
                            "(docs/dataset-specification.md)")
        if head.lstrip()[:1] in (b"{", b"["):
            raise UserError(f"{self.path}: looks like JSON; convert it to CSV or Parquet first")
        try:
            head[:head.rfind(b"\n") + 1 or None].decode("utf-8")
        except UnicodeDecodeError:
            self.encoding = "latin-1"

    def _read_csv(self, head: bytes, rows: int) -> pd.DataFrame:
        text = head.decode(self.encoding, "replace").removeprefix("\ufeff")
        self.delimiter = self._find_delimiter(text)
        header = next(csv.reader(io.StringIO(text), delimiter=self.delimiter))
        self._check_header(header)
        # A column without a name (often a row number) cannot be read by name; pandas wants one for it.
        names = [c or f"\0{i}" for i, c in enumerate(header)]
        with self._open() as file:
            try:
                return pd.read_csv(
                    file, sep=self.delimiter, encoding=self.encoding, encoding_errors="replace", nrows=rows,
                    names=names, header=0, index_col=False, dtype=str, keep_default_na=False,
                    on_bad_lines="skip",
                ).fillna("")[[c for c in header if c]]
            except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
                raise UserError(f"{self.path}: cannot be read as CSV: {error}") from error

    def _find_delimiter(self, text: str) -> str:
        """The delimiter that divides most of the first rows into as many columns as the header.

        `csv.Sniffer` counts characters and takes a log of `a|b|c` sets for one with
        the delimiter `|`; the header line tells them apart.
        """
        scores = {}
        for delimiter in DELIMITERS:
            rows = [r for r, _ in zip(csv.reader(io.StringIO(text), delimiter=delimiter), range(100)) if r]
            width = len(rows[0])
            if width > 1:
                scores[delimiter] = (sum(len(r) == width for r in rows) / len(rows), width)
        if not scores:
            line = text.lstrip().splitlines()[0]
            raise UserError(f"{self.path}: line 1: has one column only, {line[:60]!r}; columns are divided "
                            f"by one of {', '.join(DELIMITERS.values())}")
        return max(scores, key=scores.get)

    def _check_header(self, header: list[str]) -> None:
        cells = [c.strip() for c in header]
        number = re.compile(r"[-+.\deE]*\d[-+.\deE]*")
        if all(number.fullmatch(c) for c in cells if c):
            raise self._no_header(f"holds only numbers ({', '.join(cells[:5])})")
        found = next((c for c in cells if re.fullmatch(r"[-+]?\d+([.,]\d+)?", c)), None)
        if found:
            raise self._no_header(f"holds the number {found}")
        repeated = next((c for c in header if c and header.count(c) > 1), None)
        if repeated:
            raise UserError(f"{self.path}: line 1: the column {repeated!r} stands twice; give each a name of "
                            "its own")

    def _check_recurrence(self) -> None:
        """A header's cells are no values; the first row's of a log without one are."""
        header = list(self.frame)
        # The header of a log that was put together from several files stands in it again.
        rows = self.frame[~(self.frame == header).all(axis=1)]
        recurring = [c for c in header if (rows[c] == c).any()]
        if 2 * len(recurring) > len(header):
            raise self._no_header(f"holds values of its own columns ({', '.join(recurring[:5])})")

    def _no_header(self, reason: str) -> UserError:
        return UserError(f"{self.path}: line 1: {reason}, so it is no header; add a line with the columns' names, or "
                         "write the specification by hand with the key source.columns")

    def _read_parquet(self, rows: int) -> pd.DataFrame:
        try:
            file = pq.ParquetFile(self.path)
            batches, count = [], 0
            for batch in file.iter_batches(batch_size=min(rows, 65536)):
                batches.append(batch)
                count += batch.num_rows
                if count >= rows:
                    break
        except pa.ArrowInvalid as error:
            raise UserError(f"{self.path}: cannot be read as Parquet: {error}") from error
        table = pa.Table.from_batches(batches, schema=file.schema_arrow).slice(0, rows)
        columns = {name: pd.Series(table[name].to_pylist(), dtype=object) for name in table.column_names}
        return pd.DataFrame(columns)
