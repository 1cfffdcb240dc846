import json

from pipeline.runs.comparison import Comparison, changes
from pipeline.runs.comparison_tables import comparison
from pipeline.runs.run_store import RunStore
from pipeline.runs.terminal import show
from tests.unit.generated_store import GeneratedStore


def compare(store, *names):
    runs = RunStore(store.connection)
    found = [runs.get(name) for name in names]
    return Comparison.of([(run, runs.components(run.id)) for run in found]), found


def complete(store, name, config, auc, slices):
    with store.record(name, dataset="books", command="run", config=config, seed=config["seed"]) as record:
        record.complete(
            rows=100, verdict="PUSHED", plain=None,
            student={"overall": {"auc": auc, "example_count": 40.0},
                     "slices": {key: {"auc": value} for key, value in slices.items()}})


def test_settings_that_differ_beside_figures_that_differ(tmp_path, capsys):
    store = GeneratedStore(tmp_path / "metadata.sqlite")
    complete(store, "1", {"seed": 1, "training": {"epochs": 6, "patience": 2}}, 0.5, {"gender = F": 0.25})
    complete(store, "2", {"seed": 1, "training": {"epochs": 8, "patience": 2}, "extra": [1]}, 0.75, {"gender = M": 1.0})
    compared, runs = compare(store, "1", "2")
    assert compared.runs == ["1", "2"]
    assert compared.settings == {"training.epochs": [6, 8], "extra": [None, [1]]}
    assert compared.figures["plain"] == {}
    student = compared.figures["student"]
    assert student[""]["auc"] == [0.5, 0.75] and student[""]["example_count"] == [40, 40]
    assert student["gender = F"]["auc"] == [0.25, None] and student["gender = M"]["auc"] == [None, 1.0]
    assert all(source.startswith("ML Metadata") for source in compared.sources)

    show(*comparison(compared, runs))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["training.epochs", "6", "8"] in lines and ["extra", "-", "[1]"] in lines
    assert ["student", "auc", "0.5000", "0.7500", "+0.2500"] in lines
    assert ["gender", "=", "F", "0.2500"] in lines and ["gender", "=", "M", "1.0000"] in lines


def test_runs_of_an_earlier_version_are_compared_by_what_their_trainers_were_given(tmp_path):
    store = GeneratedStore(tmp_path / "metadata.sqlite")
    for name, epochs in (("1", 6), ("2", 7)):
        for node, config in (("PlainTrainer", {"training": {"epochs": epochs}}), ("ColdStart", {"cold_start": {}})):
            store.execution("books", name, node, custom_config=json.dumps({"config": config}))
        store.execution("books", name, "Transform", custom_config="null")
    compared, _ = compare(store, "1", "2")
    assert compared.settings == {"training.epochs": [6, 7]}
    assert compared.sources == ["it has none: it came to no evaluation that was recorded"] * 2


def test_changes_are_taken_from_the_first():
    assert changes([0.5, 0.75, None]) == [0.0, 0.25, None]
    assert changes([None, 0.75]) == [None, None]
