import json

import numpy as np
import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2

from pipeline.report import data_section
from pipeline.report.training_curves import read_curves
from tests.executor_case import write_examples

HOSTILE = "<script>alert(1)</script>"


def _rejected(line, reason, raw="a,b"):
    return json.dumps({"file": "log.csv", "line": line, "reason": reason, "raw": raw})


def test_reasons_are_counted_without_the_values_that_gave_rise_to_them():
    lines = [_rejected(2, "column 'price' is 'cheap', not a number"),
             _rejected(3, "column 'price' is 'it''s', not a number"), _rejected(9, "7 columns, not 9", HOSTILE)]
    found = data_section.reasons_of(lines)
    assert [(r.reason, r.rows) for r in found] == [
        ("column 'price' is …, not a number", 2), ("7 columns, not 9", 1)]
    assert found[0].example == "log.csv:2: column 'price' is 'cheap', not a number: a,b"
    assert found[1].example.endswith(HOSTILE)


def test_statistics_are_those_of_tfdv(tmp_path):
    for split, prices in (("train", [1.0, 3.0, None]), ("test", [5.0])):
        rows = [{"price": [p] if p else [], "city": ["Ur"] if p != 3.0 else ["Uruk"]} for p in prices]
        source = write_examples(tmp_path / split, {split: rows})
        statistics = tfdv.generate_statistics_from_tfrecord(f"{source.uri}/Split-{split}/*")
        (tmp_path / "statistics" / f"Split-{split}").mkdir(parents=True)
        (tmp_path / "statistics" / f"Split-{split}" / "FeatureStats.pb").write_bytes(statistics.SerializeToString())
    found = data_section.read_statistics(str(tmp_path / "statistics"))
    price, city = found["train"]["price"], found["train"]["city"]
    assert (price.mean, price.deviation, price.unique) == (2, 1, None)
    assert abs(price.missing - 1 / 3) < 1e-9 and price.bars
    assert (city.unique, city.missing, city.top) == (2, 0, (("Ur", 2 / 3), ("Uruk", 1 / 3)))
    assert found["test"]["price"].mean == 5 and "validation" not in found


def test_anomalies_and_drift(tmp_path):
    anomalies = anomalies_pb2.Anomalies()
    anomalies.anomaly_info[HOSTILE].reason.add(short_description="new value", description="Seen: <b>")
    for feature, value in (("city", 0.1), ("price", 0.2)):
        info = anomalies.drift_skew_info.add()
        info.path.step.append(feature)
        info.drift_measurements.add(
            type=anomalies_pb2.DriftSkewInfo.Measurement.L_INFTY, value=value, threshold=0.3)
    (tmp_path / "Split-train").mkdir()
    (tmp_path / "Split-train" / "SchemaDiff.pb").write_bytes(anomalies.SerializeToString())
    said, drift = data_section.read_anomalies(str(tmp_path))
    assert said == [f"train split, feature '{HOSTILE}': new value: Seen: <b>"]
    assert [(d.feature, d.measure, d.value, d.allowed) for d in drift] == [
        ("price", "L-infinity distance", 0.2, 0.3), ("city", "L-infinity distance", 0.1, 0.3)]


def test_rows_are_shown_with_their_sentences_clicked_or_not(tmp_path):
    rows = [{"label": [0], "title": [f"film {i}"], "user_sentence": ["A user."], "item_sentence": [f"Film {i}."],
             "item_text_key": [7], "price": []} for i in range(6)]
    rows.append({"label": [1], "title": [HOSTILE], "item_sentence": [HOSTILE], "price": [2.5]})
    uri = write_examples(tmp_path, {"test": rows}).uri
    found = data_section.read_rows(uri, "test")
    assert [r.label for r in found] == [1, 0, 0, 0, 0]
    assert found[0] == data_section.ExampleRow({"price": "2.5", "title": HOSTILE}, 1, HOSTILE)
    assert found[1].sentence == "A user. Film 0." and found[1].values == {"price": "", "title": "film 0"}


def test_curves_are_read_as_keras_writes_them(tmp_path):
    for part, split, values in (("teacher-10", "train", [0.5]), ("teacher-2", "validation", [0.6, 0.7]),
                                # Killed after its second epoch, and gone on with.
                                ("student", "train", [0.1, 0.9]), ("student", "train", [None, 0.2, 0.3])):
        with tf.summary.create_file_writer(str(tmp_path / part / split)).as_default():
            for epoch, value in enumerate(values):
                if value is not None:
                    tf.summary.scalar("epoch_auc", value, epoch)
    found = read_curves(str(tmp_path))
    assert [(c.part, c.metric, c.split) for c in found] == [
        ("student", "auc", "train"), ("teacher-2", "auc", "validation"), ("teacher-10", "auc", "train")]
    np.testing.assert_allclose(found[0].values, [0.1, 0.2, 0.3], atol=1e-6)
    assert read_curves(str(tmp_path / "nowhere")) == []


def test_there_may_be_nothing_to_read(tmp_path):
    assert data_section.read_rejected([str(tmp_path)]) == []
    assert data_section.read_statistics(str(tmp_path)) == {}
    assert data_section.read_anomalies(str(tmp_path)) == ([], [])
