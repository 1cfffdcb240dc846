"""TFX components: each is a folder with `component.py` and `executor.py`."""

_ARTIFACTS = (
    "AdaptedLanguageModel", "DeploymentFiles", "IngestionReport", "ScoredRows", "UserHistories", "ValueCounts",
    "Vocabularies")


def __getattr__(name):
    # Kubeflow Pipelines knows an artifact's type by two words, as `components.IngestionReport`, and the step imports
    # it by them. Lazily, because most modules below this package need no TFX.
    if name in _ARTIFACTS:
        from components import artifacts

        return getattr(artifacts, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
