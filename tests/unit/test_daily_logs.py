import pytest

from components.example_gen import readers
from components.example_gen.daily_logs import daily_logs, window
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError

SPEC = """
name: toy
source: {{format: csv, path: "{path}"}}
label: {{column: clicked}}
split: {{by: {by}}}
features:
- {{name: who, side: user, kind: categorical}}
"""


def spec(folder, path, by="day"):
    (folder / "toy.yaml").write_text(SPEC.format(path=path, by=by))
    return DatasetSpec.load(folder / "toy.yaml")


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("who,clicked\na,1\n")


def found(logs):
    return [(log.span, log.name, [f.rsplit("/", 1)[1] for f in log.files]) for log in logs]


def test_dates_become_spans_in_order_whatever_else_lies_there(tmp_path):
    touch(tmp_path, "2024-03-01.csv", "2024-02-29.csv", "1970-01-02.csv", "2024-03-01.csv.bak", "latest.csv")
    assert found(daily_logs(spec(tmp_path, "{YYYY}-{MM}-{DD}.csv"))) == [
        (1, "1970-01-02", ["1970-01-02.csv"]), (19782, "2024-02-29", ["2024-02-29.csv"]),
        (19783, "2024-03-01", ["2024-03-01.csv"])]


def test_a_day_may_be_a_folder_of_files(tmp_path):
    touch(tmp_path, "y=2024/0301/b.csv", "y=2024/0301/a.csv", "y=2024/0302/a.csv", "y=2024/0302/a.txt")
    logs = daily_logs(spec(tmp_path, "y={YYYY}/{MM}{DD}/*.csv"))
    assert found(logs) == [(19783, "2024-03-01", ["a.csv", "b.csv"]), (19784, "2024-03-02", ["a.csv"])]


@pytest.mark.parametrize(("path", "spans"), [
    ("log-{SPAN}.csv", [2, 10, 11]), ("log-{SPAN:2}.csv", [10, 11]), ("log-{SPAN:3}.csv", [2])])
def test_spans_are_numbers(tmp_path, path, spans):
    touch(tmp_path, "log-10.csv", "log-002.csv", "log-11.csv")
    assert [log.span for log in daily_logs(spec(tmp_path, path))] == spans


def test_a_data_dir_takes_the_place_of_the_specifications_folder(tmp_path):
    touch(tmp_path, "elsewhere/2024-03-01.csv")
    (log,) = daily_logs(spec(tmp_path, "{YYYY}-{MM}-{DD}.csv"), str(tmp_path / "elsewhere"))
    assert log.files == (str(tmp_path / "elsewhere" / "2024-03-01.csv"),)


def test_a_preview_reads_them_all_oldest_first(tmp_path):
    touch(tmp_path, "2024-03-02.csv", "2024-03-01.csv")
    files = readers.list_files(spec(tmp_path, "{YYYY}-{MM}-{DD}.csv"))
    assert [f[-14:] for f in files] == ["2024-03-01.csv", "2024-03-02.csv"]


def test_a_date_of_no_calendar_is_named(tmp_path):
    touch(tmp_path, "2024-02-30.csv")
    with pytest.raises(UserError, match=r"2024-02-30\.csv: its date is none of the calendar"):
        daily_logs(spec(tmp_path, "{YYYY}-{MM}-{DD}.csv"))


@pytest.mark.parametrize(("path", "by", "words"), [
    ("{YYYY}-{MM}.csv", "day", "a date needs each of"),
    ("{SPAN}/{SPAN}.csv", "day", "says the day more than once"),
    ("{SPAN}/{YYYY}-{MM}-{DD}.csv", "day", "says the day more than once"),
    ("{SPAN:x}.csv", "day", "of TFX's patterns there are"),
    ("{SPAN}-{VERSION}.csv", "day", "of TFX's patterns there are"),
    ("{SPAN}.csv", "hash", "needs split.by: day"),
    ("log.csv", "day", "split.by: day needs one log a day"),
])
def test_a_pattern_that_says_no_day_is_refused(tmp_path, path, by, words):
    with pytest.raises(UserError, match=words):
        spec(tmp_path, path, by)


def logs(tmp_path, *days):
    touch(tmp_path, *(f"2024-03-{day:02d}.csv" for day in days))
    return daily_logs(spec(tmp_path, "{YYYY}-{MM}-{DD}.csv"))


def days(logs):
    return [int(log.name[-2:]) for log in logs]


def test_the_newest_day_is_evaluated_on_and_those_before_it_are_trained_on(tmp_path):
    there = logs(tmp_path, *range(1, 11))
    found = window(there, days=3, history_days=2)
    assert (days(found.training), days([found.newest]), days(found.earlier)) == ([7, 8, 9], [10], [5, 6])
    assert days(window(there, days=3, span="2024-03-06").training) == [3, 4, 5]
    assert window(there, days=3, span=str(there[4].span)).newest == there[4]
    assert window(there, days=3, span="latest").newest == there[-1]


def test_days_are_counted_by_the_calendar_and_missing_ones_named(tmp_path):
    there = logs(tmp_path, 1, 2, 4, 7)
    found = window(there, days=6)
    assert (days(found.training), found.missing) == ([1, 2, 4], ("2024-03-03", "2024-03-05", "2024-03-06"))
    # Before the first log there is nothing to be missed.
    assert window(there, days=31).missing == found.missing


def test_a_bad_day_can_be_left_out(tmp_path):
    there = logs(tmp_path, 1, 2, 3, 4)
    found = window(there, days=3, exclude=["2024-03-02", "2023-01-01"])
    assert (days(found.training), found.missing) == ([1, 3], ("2024-03-02",))
    assert window(there, days=3, exclude=["2024-03-04"]).newest.name == "2024-03-03"
    with pytest.raises(UserError, match="left out by rolling.exclude"):
        window(there, days=3, span="2024-03-04", exclude=["2024-03-04"])


def test_what_cannot_be_run_says_why(tmp_path):
    there = logs(tmp_path, 1, 9)
    with pytest.raises(UserError, match="no log of that day; there are: 2024-03-01, 2024-03-09"):
        window(there, days=3, span="2024-03-02")
    with pytest.raises(UserError, match="no log of the 3 days before 2024-03-09"):
        window(there, days=3)


@pytest.mark.parametrize(("path", "tail"), [
    ("private/logs/{YYYY}-{MM}-{DD}/*.csv", "{YYYY}-{MM}-{DD}/*.csv"),
    ("private/log-{SPAN:3}.csv", "log-{SPAN:3}.csv")])
def test_a_served_model_says_no_more_of_the_place_than_the_day_takes(tmp_path, path, tail):
    found = spec(tmp_path, path)
    assert found.source.tail == tail
    public = found.model_copy(update={"source": found.source.model_copy(update={"path": tail})})
    assert DatasetSpec.from_json(public.to_json()).source.daily
