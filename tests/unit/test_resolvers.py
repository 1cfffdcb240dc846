import types

from tfx.types import standard_artifacts

from pipeline.resolvers import ArtifactsStrategy, PreviousBlessedModelStrategy, PreviousStatisticsStrategy


def model(number, task="task"):
    artifact = standard_artifacts.Model()
    artifact.id = number
    artifact.set_string_custom_property("task", task)
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


def test_a_model_of_another_task_is_no_baseline():
    found = PreviousBlessedModelStrategy().resolve_artifacts(None, {
        "model": [model(1), model(2, task="other")], "candidate": [model(3)],
        "model_blessing": [blessing(1, True, 10), blessing(2, True, 11)]})
    assert [m.id for m in found["model"]] == [1]


def test_artifacts_are_resolved_by_name():
    found = ArtifactsStrategy(ids={"served": 2, "student": 1}).resolve_artifacts(
        None, {key: [model(1), model(2), model(3)] for key in ("served", "student")})
    assert {key: [m.id for m in models] for key, models in found.items()} == {"served": [2], "student": [1]}


def test_previous_statistics_are_older_and_were_accepted():
    def statistics(number):
        artifact = standard_artifacts.ExampleStatistics()
        artifact.id = number
        return artifact

    def anomalies(of):
        artifact = standard_artifacts.ExampleAnomalies()
        artifact.set_int_custom_property("statistics_id", of)
        return artifact

    def previous(ids, accepted, current):
        found = PreviousStatisticsStrategy().resolve_artifacts(None, {
            "previous": [statistics(i) for i in ids], "anomalies": [anomalies(i) for i in accepted],
            "current": [statistics(current)]})
        return [a.id for a in found["previous"]]

    assert previous([4], [], 4) == []
    assert previous([2, 7, 4], [2, 4], 7) == [4]
    assert previous([2, 7, 4], [2, 4, 7], 4) == [2]
    # What stopped a run is not what the next one is measured by.
    assert previous([2, 4, 7], [2], 7) == [2]
