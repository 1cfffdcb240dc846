import types

from tfx.types import standard_artifacts

from pipeline.resolvers import PreviousArtifactStrategy, PreviousBlessedModelStrategy


def model(number):
    artifact = standard_artifacts.Model()
    artifact.id = number
    return artifact


def blessing(of, blessed, number):
    artifact = standard_artifacts.ModelBlessing()
    artifact.id = number
    artifact.set_int_custom_property("current_model_id", of)
    artifact.set_int_custom_property("blessed", int(blessed))
    return artifact


def resolve(models, blessings, candidate):
    found = PreviousBlessedModelStrategy().resolve_artifacts(
        types.SimpleNamespace(),
        {"model": [model(i) for i in models], "model_blessing": blessings, "candidate": [model(candidate)]})
    return [m.id for m in found["model"]]


def test_the_first_run_has_no_baseline():
    assert resolve([5], [], candidate=5) == []


def test_the_baseline_is_the_latest_blessed_model_before_the_candidate():
    blessings = [blessing(1, True, 10), blessing(2, False, 11), blessing(3, True, 12), blessing(5, True, 13)]
    assert resolve([1, 2, 3, 5], blessings, candidate=5) == [3]
    # A repeated run resolves the same baseline, though its own model has been blessed since.
    assert resolve([1, 2, 3], blessings, candidate=3) == [1]


def test_previous_artifact_is_older_than_the_current_one():
    def previous(ids, current):
        found = PreviousArtifactStrategy().resolve_artifacts(
            None, {"previous": [model(i) for i in ids], "current": [model(current)]})
        return [a.id for a in found["previous"]]

    assert previous([4], 4) == []
    assert previous([2, 7, 4], 7) == [4]
    assert previous([2, 7, 4], 4) == [2]
