import re

import pandas as pd
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import standard_artifacts

from components.data_validator.executor import Executor, tolerant_schema
from models.spec.errors import UserError
from pipeline.config import RunConfig
from tests.executor_case import artifact

TOLERANCES = {
    "max_unknown_share": 0.1, "max_missing_share": 0.05, "max_drift": 0.3, "inferred": 1, "exclude_splits": "[]"}


def statistics(folder, frames):
    result = artifact(standard_artifacts.ExampleStatistics, folder, list(frames))
    for split, frame in frames.items():
        path = folder / f"Split-{split}"
        path.mkdir()
        (path / "FeatureStats.pb").write_bytes(
            tfdv.generate_statistics_from_dataframe(frame).SerializeToString())
    return result


def frame(colours, prices):
    return pd.DataFrame({"colour": colours, "price": prices})


GOOD = frame(["red", "blue"] * 50, [float(i % 10) for i in range(100)])


def validate(folder, train, test, previous=None, accepted_dir=None):
    source = statistics(folder / "statistics", {"train": train, "test": test})
    source.id = 42
    schema_artifact = artifact(standard_artifacts.Schema, folder / "schema")
    schema = tfdv.infer_schema(tfdv.generate_statistics_from_dataframe(train), infer_feature_shape=False)
    tfdv.write_schema_text(schema, str(folder / "schema" / "schema.pbtxt"))
    inputs = {"statistics": [source], "schema": [schema_artifact]}
    if previous is not None:
        inputs["previous_statistics"] = [statistics(folder / "previous", {"train": previous})]
    anomalies = artifact(standard_artifacts.ExampleAnomalies, folder / "anomalies")
    Executor().Do(inputs, {"anomalies": [anomalies]}, {**TOLERANCES, "accepted_dir": accepted_dir})
    return anomalies


def test_data_that_agrees_passes(tmp_path):
    anomalies = validate(tmp_path, GOOD, GOOD, previous=GOOD)
    assert "train" in anomalies.split_names and (tmp_path / "anomalies" / "Split-train").is_dir()


def test_a_few_new_values_pass_and_many_stop_the_run(tmp_path):
    few = GOOD.copy()
    few.loc[:4, "colour"] = "green"
    validate(tmp_path / "few", GOOD, few)
    many = GOOD.copy()
    many.loc[:40, "colour"] = "green"
    with pytest.raises(UserError, match=r"(?s)test split, feature 'colour'.*green.*data.max_unknown_share"):
        validate(tmp_path / "many", GOOD, many)


def test_a_feature_that_vanishes_stops_the_run(tmp_path):
    gone = GOOD.copy()
    gone["colour"] = None
    with pytest.raises(UserError, match="test split, feature 'colour'"):
        validate(tmp_path, GOOD, gone)


def test_drift_against_the_previous_run_stops_the_run(tmp_path):
    drifted = frame(["red"] * 95 + ["blue"] * 5, GOOD["price"])
    with pytest.raises(UserError, match="train split, feature 'colour': High Linfty distance"):
        validate(tmp_path, drifted, drifted, previous=GOOD)


def test_without_earlier_statistics_at_hand_those_that_were_accepted_last_are_compared_with(tmp_path):
    kept = str(tmp_path / "accepted")
    drifted = frame(["red"] * 95 + ["blue"] * 5, GOOD["price"])
    validate(tmp_path / "first", GOOD, GOOD, accepted_dir=kept)
    # A refused run is repeated: what it brought has not become the norm.
    for name in ("second", "third"):
        with pytest.raises(UserError, match="train split, feature 'colour': High Linfty distance"):
            validate(tmp_path / name, drifted, drifted, accepted_dir=kept)
    validate(tmp_path / "fourth", GOOD, GOOD, accepted_dir=kept)
    assert [path.name for path in (tmp_path / "accepted").iterdir()] == ["train.stats.pb"]


def test_ids_in_digits_are_strings_all_the_same(tmp_path):
    digits = GOOD.assign(colour=[str(i) for i in range(100)])
    other = digits.copy()
    other.loc[3, "colour"] = "N/A"
    validate(tmp_path, digits, other)


def test_a_feature_that_is_new_or_of_another_type_has_not_drifted(tmp_path):
    validate(tmp_path / "new", GOOD, GOOD, previous=GOOD[["colour"]])
    validate(tmp_path / "type", GOOD, GOOD, previous=GOOD.assign(price=["a", "b"] * 50))


def test_the_message_names_keys_that_exist(tmp_path):
    gone = GOOD.assign(colour=None)
    with pytest.raises(UserError) as error:
        validate(tmp_path, GOOD, gone)
    for key in re.findall(r"data\.(\w+)", str(error.value)):
        assert key in RunConfig().data.model_fields


def test_accepted_statistics_are_named(tmp_path):
    assert validate(tmp_path, GOOD, GOOD).get_int_custom_property("statistics_id") == 42


def test_tolerances_do_not_override_a_schema_of_the_user(tmp_path):
    schema = schema_pb2.Schema()
    feature = schema.feature.add(name="a", type=schema_pb2.BYTES)
    feature.distribution_constraints.min_domain_mass = 1.0
    feature.drift_comparator.infinity_norm.threshold = 0.01
    feature.int_domain.max = 9
    kept = tolerant_schema(schema, 0.1, 0.05, 0.3, inferred=False).feature[0]
    assert kept.int_domain.max == 9
    result = tolerant_schema(schema, 0.1, 0.05, 0.3, frozenset({"a"})).feature[0]
    assert result.distribution_constraints.min_domain_mass == 1.0
    assert result.drift_comparator.infinity_norm.threshold == 0.01
