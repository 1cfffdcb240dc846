"""A small log behind a real transform graph, for the tests of what is exported."""

import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from models import raw_example
from models.preprocessing import preprocessing_fn
from models.spec.dataset_spec import DatasetSpec

SPEC = DatasetSpec.parse(
    """
name: books
source: {format: csv, path: /somewhere/private/books.csv}
label: {column: clicked}
features:
  - {name: reader, side: user, kind: categorical, min_count: 1}
  - {name: age, side: user, kind: numeric, buckets: 4}
  - {name: lately, side: user, kind: history, of: book, max_length: 3}
  - {name: book, side: item, kind: categorical, min_count: 1}
  - {name: topics, side: item, kind: set, max_length: 2, min_count: 1}
  - {name: cover, side: item, kind: categorical, model: false}
""",
    where="books.yaml",
)

ROWS = [
    {
        "reader": [b"ann"],
        "age": [31.0],
        "lately": [b"b1", b"b2"],
        "book": [b"b3"],
        "topics": [b"war", b"sea"],
    },
    {"reader": [b"bob"], "age": [54.0], "lately": [], "book": [b"b1"], "topics": [b"sea"]},
    {"reader": [b"cid"], "age": [], "lately": [b"b3"], "book": [b"b2"], "topics": []},
    {
        "reader": [b"ann"],
        "age": [12.0],
        "lately": [b"b3", b"b2", b"b1", b"b3", b"b9"],
        "book": [b"b2"],
        "topics": [b"war", b"sea", b"air"],
    },
]
UNSEEN = [
    {},
    {"reader": [b"nobody"], "age": [-1e6], "lately": [b"?"], "book": [b"?"], "topics": [b"?"]},
    {"reader": [b""], "age": [float("nan")], "lately": [b""], "book": [b""], "topics": [b""]},
    {"reader": "ünïcode", "book": [b"b1"], "cover": [b"not read"]},
]


def transform_output(folder):
    """A transform graph with sentences in it, which the served model must not have."""
    features = {**raw_example.feature_spec(SPEC), "label": tf.io.VarLenFeature(tf.int64)}
    features.update({f"{side}_sentence": tf.io.VarLenFeature(tf.string) for side in SPEC.text_sides})
    rows = [
        {**row, "label": [i % 2], "user_sentence": [b"a user."], "item_sentence": [b"an item."]}
        for i, row in enumerate(ROWS)
    ]
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(features))
    config = {"dataset_spec": SPEC.to_json(), "text_mode": "finetune"}
    with tft_beam.Context(temp_dir=folder):
        (
            (rows, metadata)
            | tft_beam.AnalyzeDataset(lambda x: preprocessing_fn(x, config))
            | tft_beam.WriteTransformFn(folder)
        )
    return tft.TFTransformOutput(folder)


def examples(rows):
    """The rows as a tensor of serialized Examples."""
    rows = [{k: [v.encode()] if isinstance(v, str) else v for k, v in row.items()} for row in rows]
    return tf.constant([raw_example.encode(row) for row in rows])
