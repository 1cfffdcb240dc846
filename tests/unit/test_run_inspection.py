import pytest
from google.protobuf import text_format
from tensorflow_model_analysis.proto import validation_result_pb2

from pipeline.run_inspection import _explain


@pytest.mark.parametrize(("text", "words"), [
    ('metric_key { name: "auc" } metric_value { double_value { value: 0.51 } } '
     'metric_threshold { value_threshold { lower_bound { value: 0.55 } } }',
     "auc is 0.5100; it must be at least 0.55 (evaluation.min_auc)"),
    ('metric_key { name: "calibration" } metric_value { double_value { value: 1.7 } } '
     'metric_threshold { value_threshold { lower_bound { value: 0.5 } upper_bound { value: 1.5 } } }',
     "calibration is 1.7000; it must lie between 0.5 and 1.5 (evaluation.max_calibration_error)"),
    ('metric_key { name: "auc" is_diff: true } metric_value { double_value { value: -0.02 } } '
     'metric_threshold { change_threshold { absolute { value: -0.002 } } }',
     "auc changed by -0.0200 against the last blessed model; 0.002 for the worse is allowed "
     "(evaluation.max_auc_drop)"),
    ('metric_key { name: "logloss" is_diff: true } metric_value { double_value { value: 0.02 } } '
     'metric_threshold { change_threshold { absolute { value: 0.01 } } }',
     "logloss changed by +0.0200 against the last blessed model; 0.01 for the worse is allowed "
     "(evaluation.max_logloss_rise)"),
])
def test_a_refusal_is_told_with_its_value_and_its_key(text, words):
    assert _explain(text_format.Parse(text, validation_result_pb2.ValidationFailure())) == words
