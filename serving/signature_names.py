"""Names of the served model's signatures, and of the input of one; free of TensorFlow, for the client."""

DEFAULT = "serving_default"
CLASSIFY = "classify"
REGRESS = "regress"
PREDICT_COLUMNS = "predict_columns"
RANK = "rank"
RANK_TOP_K = "rank_top_k"
TOP_K = "k"
