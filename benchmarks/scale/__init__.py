"""How the pipeline grows with the rows of a log: `python -m benchmarks.scale`."""
