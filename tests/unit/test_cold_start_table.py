"""The table of the benchmark of hidden items and users."""

from benchmarks import cold_start
from benchmarks.cold_start_table import table


def _run(shared, mean, text):
    return {"entries": 3, "rows": 1200, "clicks": 900, "models": {
        "plain": {"shared": shared, "mean": mean, "text": text, "explained": {"item_id": 0.25, "title": 0.5}}}}


def test_means_over_seeds_and_the_difference_to_the_better_of_each():
    found = table([("sample", "item", {1: _run(0.50, 0.52, 0.55), 2: _run(0.54, 0.50, 0.55)}),
                   ("sample", "user", {1: _run(0.5, 0.5, 0.25)})])
    # Differences .03 and .01.
    assert found.splitlines()[2:4] == [
        "| sample | items | 3 | 1,200 (900) | plain | 1, 2 | 0.5200 ± 0.0283 | 0.5100 ± 0.0141 | 0.5500 ± 0.0000 | "
        "+0.0200 ± 0.0141 | item_id 0.25, title 0.50 |",
        "| sample | users | 3 | 1,200 (900) | plain | 1 | 0.5000 | 0.5000 | 0.2500 | -0.2500 | "
        "item_id 0.25, title 0.50 |"]
    assert found.splitlines()[4:] == [
        "", "Target: on hidden items, the text row at least 0.02 above both others.", "",
        "* sample, plain: yes (+0.0200)."]
    assert table([("sample", "item", {1: _run(0.50, 0.52, 0.539)})]).endswith("* sample, plain: no (+0.0190).")
    assert "Target" not in table([("sample", "user", {1: _run(0.5, 0.5, 0.25)})])


def test_a_user_is_told_what_is_wrong(monkeypatch, capsys):
    for arguments, words in (
            (["--datasets", "movielens-1m:x"], "--datasets movielens-1m:x: the seeds must be whole numbers"),
            (["--datasets", "sampel"], "--datasets sampel: must be of sample, movielens-100k, movielens-1m"),
            (["--datasets", "movielens-1m"], "needs --movielens DIR"),
            (["--datasets", "sample", "--text-only", "user_id"],
             "--text-only user_id: what both the ID model and the texts read of the hidden side is: ")):
        monkeypatch.setattr("sys.argv", ["cold_start", *arguments])
        assert cold_start.main() == 2
        assert words in capsys.readouterr().err
