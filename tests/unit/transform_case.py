"""Runs the transform graph on a few invented rows, for the tests of what is made from it."""

import functools
import logging

import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from models import raw_example
from models.preprocessing import preprocessing_fn
from models.spec.dataset_spec import DatasetSpec

SPEC = DatasetSpec.parse(
    """
    name: films
    source: {format: csv, path: films.csv}
    label: {column: click}
    features:
    - {name: user_id, side: user, kind: categorical, min_count: 1, text: "is {}"}
    - {name: gender, side: user, kind: categorical, min_count: 2}
    - {name: job, side: user, kind: categorical}
    - {name: age, side: user, kind: numeric, buckets: 2}
    - {name: income, side: user, kind: numeric, buckets: 4}
    - {name: watched, side: user, kind: history, of: movie, max_length: 3, text: "who watched {}"}
    - {name: movie, side: item, kind: categorical, min_count: 2, oov_buckets: 2}
    - {name: genre, side: item, kind: set, max_length: 2, min_count: 1}
    """,
    "test",
)

NAN = float("nan")
# Missing values stand as an empty list, an empty string or NaN.
ROWS = [
    {
        "user_id": ["u1"], "gender": ["F"], "age": [1.0], "watched": [], "movie": ["a"],
        "genre": ["x", "y", "z"], "label": [1],
        "user_sentence": ["User u1."], "item_sentence": ["Amélie (2001)!"],
        "user_text_key": [11], "item_text_key": [21], "watched_text_key": [],
    },
    {
        "user_id": ["u2"], "gender": ["F"], "age": [3.0], "watched": ["b", "a", "c", "a"], "movie": ["a"],
        "genre": [], "label": [0],
        "user_sentence": ["User u2, who watched " + "very long " * 9 + "."], "item_sentence": ["a|b"],
        "user_text_key": [12], "item_text_key": [21], "watched_text_key": [5, 6, 7, 8],
    },
    {
        "user_id": ["u3"], "gender": [], "age": [NAN], "watched": ["a", ""], "movie": ["b"],
        "genre": ["y"], "label": [1],
        "user_sentence": ["User 千と, é."], "item_sentence": ["it's $5 ^_^"],
        "user_text_key": [-13], "item_text_key": [22], "watched_text_key": [6, 7],
    },
    {
        "user_id": ["u3"], "gender": [""], "age": [], "watched": ["q"], "movie": ["b"],
        "genre": ["y", ""], "label": [1],
        "user_sentence": ["User u3."], "item_sentence": [""],
        "user_text_key": [13], "item_text_key": [22], "watched_text_key": [9],
    },
]


def transform(folder, text_mode, spec=SPEC, **custom):
    """Analyses `ROWS` and transforms them, by a specification of the same features; `custom` is added to what
    `preprocessing_fn` is given.

    Returns:
        The rows as numpy arrays by name, in order, and the `TFTransformOutput`.
    """
    feature_spec = {**raw_example.feature_spec(spec), "label": tf.io.VarLenFeature(tf.int64)}
    for name in ROWS[0]:
        kind = tf.string if name.endswith("_sentence") else tf.int64
        feature_spec.setdefault(name, tf.io.VarLenFeature(kind))
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(feature_spec))
    custom_config = {"dataset_spec": spec.to_json(), "text_mode": text_mode, **custom}
    rows = [{"job": [], "income": [], **row} for row in ROWS]
    logging.getLogger("absl").setLevel(logging.ERROR)  # TFT would rather have Arrow batches
    with tft_beam.Context(temp_dir=str(folder / "temp")):
        (transformed, _), transform_fn = (rows, metadata) | tft_beam.AnalyzeAndTransformDataset(
            functools.partial(preprocessing_fn, custom_config=custom_config))
        _ = transform_fn | tft_beam.WriteTransformFn(str(folder / "graph"))
    return transformed, tft.TFTransformOutput(str(folder / "graph"))
