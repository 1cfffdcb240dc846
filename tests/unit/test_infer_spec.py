"""`ctrl init`: specifications inferred from logs."""

import datetime
import gzip

import pandas as pd
import pytest
import yaml

from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from pipeline.column_profile import ColumnProfile
from pipeline.infer_spec import infer_spec, write_spec
from pipeline.log_sample import LogSample
from pipeline.preview import preview

TAGS = ["wood; office", "light", "wood; light", "office"]


def log(rows=240):
    """A log with every kind of column; its values repeat with coprime periods."""
    items = [f"Fine Lamp {i}, Large" if i % 4 == 0 else f"Oak Desk {i}" for i in range(12)]
    return pd.DataFrame({
        "userId": [f"u{i % 20}" for i in range(rows)],
        "gender": ["FM"[i % 20 % 2] for i in range(rows)],
        "city": ["" if i % 20 == 3 else ["Rome", "Oslo", "Bonn"][i % 20 % 3] for i in range(rows)],
        "tier": ["gold" if i % 20 < 5 else "none" for i in range(rows)],
        "item_id": [i * 7 % 12 + 100 for i in range(rows)],
        "title": [items[i * 7 % 12] for i in range(rows)],
        "price": [round(9.99 + i * 7 % 12 * 3.5, 2) for i in range(rows)],
        "tags": [TAGS[i * 7 % 12 % 4] for i in range(rows)],
        "recent_titles": ["|".join(items[j % 12] for j in range(i % 5)) for i in range(rows)],
        "device": ["phone", "desktop", "tablet"] * (rows // 3),
        "version": [3] * rows,
        "event": [f"{i:x}-{i * 7919:x}" for i in range(rows)],
        "clicked": [int(i % 11 % 3 == 0) for i in range(rows)],
        "purchased": [int(i % 11 == 0) for i in range(rows)],
        "timestamp": [1_700_000_000 + 600 * i for i in range(rows)],
    })


def inferred(frame, tmp_path, **csv):
    frame.to_csv(tmp_path / "log.csv", index=False, **csv)
    text = infer_spec(str(tmp_path / "log.csv"))
    return text, DatasetSpec.parse(text, where="log.yaml")


def test_kinds_sides_label_split_and_slices(tmp_path):
    _, spec = inferred(log(), tmp_path)
    assert spec.name == "log"
    assert {f.name: (f.side, f.kind) for f in spec.features} == {
        "userId": ("user", "categorical"),
        "gender": ("user", "categorical"),
        "city": ("user", "categorical"),
        "tier": ("user", "categorical"),  # no name tells, but each user has one value
        "recent_titles": ("user", "history"),
        "item_id": ("item", "categorical"),
        "title": ("item", "categorical"),
        "price": ("item", "numeric"),
        "tags": ("item", "set"),
        "device": ("context", "categorical"),
    }
    assert (spec.label.column, spec.label.threshold) == ("clicked", None)
    assert (spec.split.by, spec.split.time) == ("time", "timestamp")
    assert spec.feature("recent_titles").of == "title"
    assert spec.feature("tags").separator == ";"
    assert [f.name for f in spec.features if not f.text] == ["userId", "item_id"]
    assert spec.slices == ("gender", "city", "tier", "title")


def test_an_entry_is_known_by_its_id_and_what_goes_with_it(tmp_path):
    text, spec = inferred(log(), tmp_path)
    assert "ids: {user: [userId], item: [item_id, title]}" in text
    # No name ends in `id`, but codes are ids; a film has a title of its own, and shares its studio.
    frame = pd.DataFrame({
        "viewer": [f"v{i % 40}" for i in range(400)],
        "film": [f"m{i * 7 % 50}" for i in range(400)],
        "title": [f"The {i * 7 % 50 * 'very '}last" for i in range(400)],
        "studio": [f"Studio {'east' if i * 7 % 50 < 20 else 'west'}" for i in range(400)],
        "clicked": [i % 2 for i in range(400)]})
    _, spec = inferred(frame, tmp_path)
    assert spec.ids == {"user": ("viewer",), "item": ("film", "title")}
    assert spec.feature("studio").side == "item"
    text, _ = inferred(frame.drop(columns=["viewer", "film", "title"]), tmp_path)
    assert "ids:" not in text


def test_comments_tell_counts_candidates_and_what_is_left_out(tmp_path):
    lines = inferred(log(), tmp_path)[0].splitlines()
    assert "  # 2 values: F (50 %), M (50 %)" in lines
    assert "  # 3 values: Rome (32 %), Oslo (37 %), Bonn (32 %); 5 % missing" not in lines
    assert "  # 3 values: Oslo (37 %), Rome (32 %), Bonn (32 %); 5 % missing" in lines
    assert "  # numbers from 9.99 to 48.49, median 30.99" in lines
    assert "#   clicked: 2 values: 0 (64 %), 1 (36 %)" in lines
    assert "#   purchased: 2 values: 0 (91 %), 1 (9.2 %)" in lines
    assert "# timestamp: from 2023-11-14 22:13:20 UTC to 2023-11-16 14:03:20 UTC" in lines
    assert "#   version: has the one value '3'" in lines
    assert "#   event: has a different value in every row" in lines
    assert "#   purchased: looks like another outcome of the row, unknown when a request comes" in lines


def test_what_is_written_runs_as_it_stands(tmp_path):
    log().to_csv(tmp_path / "clicks.csv", index=False)
    (tmp_path / "specs").mkdir()
    output = tmp_path / "specs" / "my shop.yaml"
    message = write_spec(str(tmp_path / "clicks.csv"), str(output))
    assert message == f"Wrote {output}. Edit it, then: ctrl preview --dataset {output}"
    assert yaml.safe_load(output.read_text())["source"]["path"] == "../clicks.csv"
    spec = DatasetSpec.load(output)
    assert spec.name == "my-shop"
    result = preview(spec)
    assert (result.read, result.rejected) == (240, 0)
    assert [p.text for p in result.problems if p.level == "error"] == []


def test_an_existing_specification_is_kept_without_force(tmp_path):
    log().to_csv(tmp_path / "log.csv", index=False)
    output = tmp_path / "my.yaml"
    output.write_text("mine")
    with pytest.raises(UserError, match="my.yaml: exists already; .*replace it with --force$"):
        write_spec(str(tmp_path / "log.csv"), str(output))
    assert output.read_text() == "mine"
    write_spec(str(tmp_path / "log.csv"), str(output), force=True)
    assert DatasetSpec.load(output).name == "my"


def test_a_rating_gets_a_threshold_and_a_history_to_uncomment(tmp_path):
    frame = log().drop(columns=["clicked", "purchased", "recent_titles"])
    frame["rating"] = [i % 5 + 1 for i in range(len(frame))]
    text, spec = inferred(frame, tmp_path)
    assert (spec.label.column, spec.label.threshold, spec.label.drop) == ("rating", 3, ())
    start = text.index("  # - name: liked")
    end = text.index("# Left out:")
    history = text[start:end].replace("  # - ", "  - ").replace("  #   ", "    ")
    derived = DatasetSpec.parse(text[:start] + history + text[end:], where="log.yaml").feature("liked")
    assert (derived.of, derived.derive.user, derived.derive.time) == ("item_id", "userId", "timestamp")
    assert derived.text.feature == "title"


def test_a_binary_column_without_a_telling_name_can_be_the_label(tmp_path):
    frame = log().drop(columns=["purchased"]).rename(columns={"clicked": "outcome"})
    frame["is_member"] = [i % 2 for i in range(len(frame))]
    text, spec = inferred(frame, tmp_path)
    assert spec.label.column == "outcome"
    assert "#   is_member: 2 values: 0 (50 %), 1 (50 %)" in text
    assert spec.feature("is_member").side == "user"
    assert "Remove it if it is another outcome" in text


def test_without_times_rows_are_divided_by_hash(tmp_path):
    text, spec = inferred(log().drop(columns="timestamp"), tmp_path)
    assert spec.split.by == "hash"
    assert "  # key: [userId]  # keeps all rows of a user in one split" in text


def test_iso_dates_are_times(tmp_path):
    frame = log().drop(columns="timestamp")
    start = datetime.datetime(2024, 2, 28)
    frame["when"] = [(start + datetime.timedelta(hours=i)).isoformat() for i in range(len(frame))]
    frame["joined"] = "2020-01-01"
    frame.loc[::2, "joined"] = "2021-01-01"
    text, spec = inferred(frame, tmp_path)
    assert (spec.split.by, spec.split.time) == ("time", "when")
    assert "#   joined: is a time, which does not come again" in text


@pytest.mark.parametrize("scale", [1, 1000, 0.5 + 1e-9], ids=["seconds", "milliseconds", "neither"])
def test_seconds_since_1970_are_times_whatever_their_name(scale, tmp_path):
    frame = log()
    frame["seen"] = [int(second * scale) for second in frame.pop("timestamp")]
    # A name that says what it is counts for more.
    frame["video"] = [1_600_000_000 + i * 7 % 50 for i in range(len(frame))]
    text, spec = inferred(frame, tmp_path)
    kinds = {f.name: (f.side, f.kind) for f in spec.features}
    assert kinds["video"] == ("item", "numeric")
    if scale < 1:
        assert spec.split.by == "hash" and kinds["seen"] == ("context", "numeric")
    else:
        assert (spec.split.by, spec.split.time) == ("time", "seen")
        assert "# seen: from 2023-11-14 22:13:20 UTC to 2023-11-16 14:03:20 UTC" in text


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S.5", "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%dT%H:%M:%S+0000"])
def test_other_forms_of_iso_dates_are_times(tmp_path, form):
    frame = log()
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], unit="s").dt.strftime(form)
    _, spec = inferred(frame, tmp_path)
    assert (spec.split.by, spec.split.time) == ("time", "timestamp")
    assert preview(DatasetSpec.parse(infer_spec(str(tmp_path / "log.csv")), where="log.yaml")).rejected == 0


@pytest.mark.parametrize("form", ["%d/%m/%Y %H:%M", "%b %d, %Y %H:%M", "%a %b %d %H:%M:%S %Y", "%d-%b-%Y"])
def test_a_time_that_cannot_be_read_is_told(tmp_path, form):
    frame = log()
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], unit="s").dt.strftime(form)
    text, spec = inferred(frame, tmp_path)
    assert spec.split.by == "hash" and "timestamp" not in spec.columns
    assert f"# timestamp: looks like a time in a form that cannot be read, as {frame['timestamp'][0]!r};\n" in text
    assert "#   rewrite it as ISO 8601, as 2024-03-01T21:04:10.\n# No column of times was found" in text
    assert "#   timestamp: looks like a time in a form that cannot be read; rewrite it as ISO 8601\n" in text


def test_decimal_commas_are_found(tmp_path):
    frame = log()
    frame["tags"] = frame["tags"].str.replace("; ", "|")
    frame["weight"] = [7 if i % 3 else 7.5 + i % 12 for i in range(len(frame))]
    for column in ("price", "weight"):
        frame[column] = frame[column].map(lambda v: f"{v:g}".replace(".", ","))
    text, spec = inferred(frame, tmp_path, sep=";")
    assert (spec.source.delimiter, spec.source.decimal) == (";", ",")
    assert spec.feature("price").kind == spec.feature("weight").kind == "numeric"
    assert "  # numbers with a decimal comma: from 9.99 to 48.49, median 30.99" in text
    assert preview(DatasetSpec.parse(text, where="log.yaml")).rejected == 0


def test_pairs_between_commas_are_no_decimals(tmp_path):
    frame = log()
    frame["pairs"] = [f"{i % 4},{i % 3}" for i in range(len(frame))]
    _, spec = inferred(frame, tmp_path)
    assert spec.source.decimal == "." and spec.feature("pairs").kind == "set"


def test_a_header_that_stands_in_the_log_again_is_a_header(tmp_path):
    frame = log()
    frame = pd.concat([frame, pd.DataFrame([dict(zip(frame, frame))])])
    frame.to_csv(tmp_path / "log.csv", index=False)
    assert list(LogSample(str(tmp_path / "log.csv"), 1000).frame) == list(frame)


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
def test_the_delimiter_is_found(tmp_path, delimiter):
    frame = log()
    if delimiter == ";":
        frame["tags"] = frame["tags"].str.replace("; ", "|")
    _, spec = inferred(frame, tmp_path, sep=delimiter)
    assert spec.source.delimiter == delimiter
    assert spec.feature("tags").kind == "set"


def test_encodings(tmp_path):
    frame = log()
    frame["city"] = frame["city"].str.replace("Bonn", "Köln")
    assert inferred(frame, tmp_path, encoding="latin-1")[1].source.encoding == "latin-1"
    text, spec = inferred(frame, tmp_path, encoding="utf-8-sig")
    assert spec.source.encoding == "utf-8" and spec.features[0].name == "userId"
    assert "Köln" in text


def test_gzip_and_awkward_column_names(tmp_path):
    frame = log().rename(columns={"city": "Home City (text)", "tier": "user_text", "device": "7: device"})
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        frame.to_csv(file)  # with the row number in a column without a name
    spec = DatasetSpec.parse(infer_spec(str(tmp_path / "a.csv.gz")), where="a.yaml")
    assert {f.name: f.column for f in spec.features if f.column} == {
        "Home_City_text_field": "Home City (text)", "user_text_field": "user_text", "device": "7: device"}


def test_parquet_with_lists_and_nulls(tmp_path):
    frame = log()
    frame["tags"] = frame["tags"].str.split("; ")
    frame["recent_titles"] = frame["recent_titles"].map(lambda v: v.split("|") if v else [])
    frame["price"] = [None if i % 10 == 0 else p for i, p in enumerate(frame["price"])]
    frame["clicked"] = frame["clicked"].astype(bool)
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], unit="s")
    frame.to_parquet(tmp_path / "log.parquet")
    text = infer_spec(str(tmp_path / "log.parquet"))
    spec = DatasetSpec.parse(text, where="log.yaml")
    assert spec.source.format == "parquet"
    assert [spec.feature(n).kind for n in ("tags", "recent_titles", "price")] == ["set", "history", "numeric"]
    assert (spec.label.column, spec.split.time) == ("clicked", "timestamp")
    assert "10 % missing" in text


def test_a_title_with_commas_is_no_set():
    assert ColumnProfile("title", ["Matrix, The", "Heat", "Net, The", "Up", "Jaws"] * 9).separator is None
    assert ColumnProfile("genres", ["Drama, War", "Drama", "War, Drama", "War"] * 9).separator == ", "


@pytest.mark.parametrize("content, message", [
    (b"", "is empty; give a CSV file with a header line, or a Parquet file"),
    (b"user,clicked\n", "has a header and no rows; give a log with some rows"),
    (b"1,2,0\n3,4,1\n", "line 1: holds only numbers (1, 2, 0), so it is no header; add a line with the "
                        "columns' names, or write the specification by hand with the key source.columns"),
    (b"u1,Rome,3,0\nu2,Oslo,4,1\n", "line 1: holds the number 3, so it is no header; add a line with the columns' "
                                     "names, or write the specification by hand with the key source.columns"),
    (b"u1,Rome,yes\nu2,Oslo,no\nu1,Bonn,no\nu3,Rome,yes\n",
     "line 1: holds values of its own columns (u1, Rome, yes), so it is no header; add a line with the columns' "
     "names, or write the specification by hand with the key source.columns"),
    (b"user\nu1\n", "line 1: has one column only, 'user'; columns are divided by one of comma, semicolon, "
                    "tab, bar"),
    (b"user,user\nu1,u2\n", "line 1: the column 'user' stands twice; give each a name of its own"),
    (b'{"user": 1}\n', "looks like JSON; convert it to CSV or Parquet first"),
    (b"PAR1 and then nothing", "cannot be read as Parquet: "),
    (b"ab\0\1\2,c\n", "is neither text nor Parquet; a log is CSV (also .csv.gz) or Parquet here"),
    (b"user,age\nu1,30\nu2,31\n", "no column can be the label: none holds only 0 and 1"),
    (b"clicked,version\n0,3\n1,3\n", "has no column left for a feature beside the label 'clicked'; 'version' "
                                     "has the one value '3'"),
])
def test_what_cannot_be_a_log(tmp_path, content, message):
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(UserError) as caught:
        infer_spec(str(tmp_path / "log.csv"))
    assert str(caught.value).startswith(f"{tmp_path / 'log.csv'}: {message}")


def test_a_log_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="none.csv: is no file; give the path of one CSV or Parquet file"):
        infer_spec(str(tmp_path / "none.csv"))


def test_a_price_is_a_number_even_when_some_cells_are_malformed_and_few_prices_differ(tmp_path):
    log = tmp_path / "log.csv"
    rows = [f"u{i % 50},{'cheap' if i < 3 else 40 + i % 20},{i % 2}" for i in range(400)]
    log.write_text("guest_ref,nightly_price,booked\n" + "\n".join(rows), encoding="utf-8")
    spec = DatasetSpec.parse(infer_spec(str(log)), where="log.yaml")
    assert spec.feature("nightly_price").kind == "numeric"
    assert spec.feature("guest_ref").side == "user"
