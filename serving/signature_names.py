"""Names of the served model's signatures and of what they take; free of TensorFlow, for the client."""

DEFAULT = "serving_default"
CLASSIFY = "classify"
REGRESS = "regress"
PREDICT_COLUMNS = "predict_columns"
RANK = "rank"
RANK_TOP_K = "rank_top_k"
TOP_K = "k"
# The side whose features have a row for each item that is ranked; those of the others have one.
ITEM = "item"
