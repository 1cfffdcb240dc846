"""The dataset specification: the one place that names a log's columns."""
