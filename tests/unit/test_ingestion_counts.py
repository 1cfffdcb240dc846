import json

from pipeline.ingestion_counts import read_counts


def test_the_newest_day_is_the_test_and_the_days_before_it_are_trained_on(tmp_path):
    uris = []
    for day in (1, 2, 3):
        folder = tmp_path / str(day)
        folder.mkdir()
        (folder / "summary.json").write_text(json.dumps({
            "split_by": "day", "read": 10 * day, "dropped": day, "rejected": 1,
            "rows": {"train": 8 * day, "validation": day}, "positive": {"train": 2 * day, "validation": 1}}))
        uris.append(str(folder))
    assert read_counts(uris) == {
        "split_by": "day", "read": 60, "dropped": 6, "rejected": 3,
        "rows": {"train": 24, "validation": 3, "test": 27}, "positive": {"train": 6, "validation": 2, "test": 7},
        "dead_letters": f"{tmp_path / '3' / 'rejected.jsonl'}"}
    # A single log has its splits.
    assert read_counts(uris[:1])["rows"] == {"train": 8, "validation": 1}
