"""Datasets, run configurations, the pipeline and the `ctrl` command."""
