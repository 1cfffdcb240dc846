import keras
import pytest

from benchmarks import alignment_cost
from benchmarks.alignment_cost_table import amortised, table
from benchmarks.sentence_rows import sentence
from tests.unit.test_gain import SPEC


def test_the_encoding_is_spread_over_the_rows_by_hand():
    # 1,000 rows at 500 a second take 2 seconds, and 2 more to encode.
    assert amortised(1000, 500, 2, epochs=1) == 250
    assert amortised(1000, 500, 2, epochs=4) == 400
    assert amortised(1000, 500, 0, epochs=3) == 500


def _quality(*aucs, rate=None):
    return [{"auc": auc, "rows_per_second": rate} for auc in aucs]


def test_the_tables():
    quality = {"naive": _quality(0.70, 0.80, rate=10.0), "ours": _quality(0.71, 0.83, rate=99.0),
               "plain": _quality(0.69, 0.79)}
    lines = table(1000, {"texts": 40, "seconds": 2.0}, 500.0, 4, quality).splitlines()
    assert lines[2:6] == [
        "| naive: every row's sentence is encoded in every step | 10 | 1.0 |",
        "| ours, steps alone | 500 | 50.0 |",
        "| ours, with the encoding, 1 epoch: 40 texts encoded in 2.0 s | 250 | 25.0 |",
        "| ours, with the encoding, 4 epochs: 40 texts encoded in 2.0 s | 400 | 40.0 |"]
    assert lines[9:12] == [
        "| the naive way | 2 | 0.7500 ± 0.0707 |  |  |",
        "| ours | 2 | 0.7700 ± 0.0849 | +0.0200 ± 0.0141 | 0.3 |",
        "| not at all | 2 | 0.7400 ± 0.0707 | -0.0100 ± 0.0000 | – |"]
    assert lines[12:] == [
        "", "Target: with the encoding and 1 epoch 20 times the naive way's rows/s: yes (25.0)."]
    assert table(1000, {"texts": 40, "seconds": 6.0}, 500.0, 4, quality).endswith("rows/s: no (12.5).")
    assert "4 epochs" not in table(1000, {"texts": 40, "seconds": 2.0}, 500.0, 1, quality)


def test_a_row_s_sentence_is_that_of_all_its_sides():
    values = {"user_sentence": ["Où.".encode()], "item_sentence": [b"This is a film."]}
    assert sentence(SPEC, values) == "Où. This is a film."


def test_the_rate_leaves_the_first_step_out(monkeypatch):
    from benchmarks import alignment_cost_runner

    # Read after the first of five steps, and at the end.
    times = iter([100.0, 102.0])
    monkeypatch.setattr(alignment_cost_runner.time, "perf_counter", lambda: next(times))
    clock = alignment_cost_runner._Clock(batch_size=8)
    clock.set_model(keras.Sequential([keras.layers.Dense(1)]))
    clock.model.compile("sgd", "mse")
    for batch in range(5):
        clock.on_train_batch_end(batch)
    clock.on_train_end()
    assert clock.rows_per_second == 16


@pytest.mark.parametrize(("arguments", "words"), [
    (["--set", "text_mode=finetune"], "frozen: set text_mode to frozen"),
    (["--rows", "1000", "--set", "alignment.batch_size=501"], "--rows 1000: must be two batches"),
    (["--epochs", "0"], "--epochs 0: must be 1"),
])
def test_a_user_is_told_what_is_wrong(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.setattr("sys.argv", ["alignment_cost", "--root", str(tmp_path), *arguments])
    assert alignment_cost.main() == 2
    assert words in capsys.readouterr().err
