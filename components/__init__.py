"""TFX components: each is a folder with `component.py` and `executor.py`."""
