import types

from tfx.types import standard_artifacts

from pipeline.resolvers import (
    ArtifactsStrategy,
    EarlierDayModelStrategy,
    EarlierTextVectorsStrategy,
    PreviousBlessedModelStrategy,
    PreviousStatisticsStrategy,
)


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


def of_day(artifact, span):
    artifact.set_int_custom_property("span", span)
    return artifact


def earlier_model(models, blessings, span):
    found = EarlierDayModelStrategy(span).resolve_artifacts(
        None, {"model": [of_day(model(number), day) for number, day in models], "model_blessing": blessings})
    return [m.id for m in found["model"]]


def test_a_day_goes_on_from_the_last_blessed_model_of_the_days_before():
    models = [(1, 10), (2, 11), (3, 12), (4, 12)]
    blessings = [blessing(1, True, 20), blessing(2, True, 21), blessing(3, False, 22), blessing(4, False, 23)]
    assert earlier_model(models, blessings, 10) == []
    assert earlier_model(models, blessings, 11) == [1]
    # The day before was refused.
    assert earlier_model(models, blessings, 13) == [2]
    # What this day made itself is no start, nor is a model of no day.
    assert earlier_model(models, [*blessings, blessing(4, True, 24)], 12) == [2]
    found = EarlierDayModelStrategy(13).resolve_artifacts(
        None, {"model": [model(1)], "model_blessing": [blessing(1, True, 20)]})
    assert found == {"model": [], "model_blessing": []}


def test_an_older_day_that_was_run_again_is_not_the_newest():
    blessings = [blessing(1, True, 20), blessing(2, True, 21), blessing(3, True, 22)]
    assert earlier_model([(1, 10), (2, 11), (3, 10)], blessings, 12) == [2]
    assert earlier_model([(1, 10), (2, 11), (3, 10)], blessings, 11) == [3]


def test_vectors_are_taken_over_from_an_earlier_day_with_the_same_language_model():
    def vectors(number, span, fingerprint="f", max_tokens=64):
        artifact = standard_artifacts.Examples()
        artifact.id = number
        artifact.set_string_custom_property("language_model_fingerprint", fingerprint)
        artifact.set_int_custom_property("max_tokens", max_tokens)
        return of_day(artifact, span)

    there = [vectors(1, 10), vectors(2, 11), vectors(3, 12, fingerprint="g"), vectors(4, 13, max_tokens=32),
             vectors(5, 14), vectors(6, 11)]

    def previous(span, *made_with):
        return [a.id for a in EarlierTextVectorsStrategy(span, *made_with).resolve_artifacts(
            None, {"previous": there})["previous"]]

    assert previous(14, "f", 64) == [6]
    assert previous(15, "f", 64) == [5]
    assert previous(14, "g", 64) == [3]
    assert previous(10, "f", 64) == []
