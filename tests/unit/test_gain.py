import json

import numpy as np
import pytest

from benchmarks import gain, gain_runner
from benchmarks.gain_table import difference, slice_table, table, targets
from benchmarks.journal import Journal
from benchmarks.search import SPACE, candidates, with_settings
from benchmarks.slices import Slices, entity, rare_and_new
from models.field import Field
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from pipeline import datasets
from pipeline.config import RunConfig

SPEC = DatasetSpec.parse(
    """
name: toy
source: {format: csv, path: toy.csv}
label: {column: clicked}
features:
- {name: town, side: user, kind: categorical}
- {name: who, side: user, kind: categorical}
- {name: film, side: item, kind: categorical}
- {name: title, side: item, kind: categorical}
""", where="toy.yaml")


def test_the_rarest_tenth_has_the_last_ids_of_the_vocabulary():
    # 20 known values: the rarest two are 19 and 20; 21 and 22 are out-of-vocabulary buckets.
    rare, new = rare_and_new(np.array([1, 18, 19, 20, 21, 22]), own=20)
    assert rare.tolist() == [False, False, True, True, False, False]
    assert new.tolist() == [False, False, False, False, True, True]


def test_users_and_items_are_the_features_with_the_most_values():
    fields = [Field("town", "categorical", 5, "town"), Field("who", "categorical", 9, "who"),
              Field("film", "categorical", 7, "film"), Field("title", "categorical", 7, "title")]
    assert [entity(SPEC, fields, side) for side in ("user", "item", "context")] == ["who", "film", None]


def test_figures_by_hand():
    slices = Slices(np.array([1, 0, 1, 0]), {"new users": np.array([True, True, False, False]),
                                             "new items": np.array([True, False, False, False])})
    # Logits of the probabilities 3/4, 1/4, 1/4 and 3/4.
    found = slices.figures(np.log([3, 1 / 3, 1 / 3, 3]))
    assert found["all"]["rows"] == 4 and found["all"]["auc"] == pytest.approx(0.5)
    assert found["all"]["logloss"] == pytest.approx(-(2 * np.log(0.75) + 2 * np.log(0.25)) / 4)
    assert found["new users"] == {"rows": 2, "auc": 1.0, "logloss": pytest.approx(-np.log(0.75))}
    assert found["new items"] == {"rows": 1, "auc": None, "logloss": None}


def _runs(*values):
    one_class = {"rows": 2, "auc": None, "logloss": None}
    return {seed: {"all": {"rows": 9, "auc": v, "logloss": 1 - v}, "new items": one_class}
            for seed, v in enumerate(values, 1)}


def test_the_difference_is_paired_by_seed():
    models = {"plain": _runs(0.70, 0.80, 0.75), "aligned": _runs(0.71, 0.82, 0.78)}
    mean, p = difference(models, "aligned", "all", "auc")
    # Differences .01, .02, .03: t = mean / (deviation / sqrt(3)) = .02 / (.01 / 1.732) = 3.464, two degrees.
    assert mean == pytest.approx(0.02) and p == pytest.approx(0.0742, abs=1e-4)
    # The seed that both have, alone, has no p-value.
    models["plain"].pop(2), models["aligned"].pop(3)
    assert difference(models, "aligned", "all", "auc") == (pytest.approx(0.01), None)
    assert difference(models, "aligned", "new items", "auc") == (None, None)


def test_the_tables():
    results = {"autoint": {"plain": _runs(0.70, 0.80), "distilled": _runs(0.71, 0.83)}}
    assert table(results).splitlines()[2:] == [
        "| autoint | plain | 2 | 0.7500 ± 0.0707 |  |  | 0.2500 ± 0.0707 |  |  |",
        "| autoint | aligned + distilled | 2 | 0.7700 ± 0.0849 | +0.0200 | 0.3 | 0.2300 ± 0.0849 | -0.0200 | 0.3 |"]
    assert slice_table(results).splitlines()[2:] == [
        "| autoint | new items | 2 | plain | – | – | – |",
        "| autoint | new items | 2 | aligned + distilled | – | – | – |"]


def test_the_targets_are_the_student_s():
    results = {"autoint": {"plain": _runs(0.80, 0.82), "distilled": _runs(0.81, 0.83), "teacher": _runs(0.9)},
               "dcnv2": {"plain": _runs(0.83), "distilled": _runs(0.838)}, "deepfm": {"plain": _runs(0.8)}}
    assert targets(results).splitlines() == [
        "Targets, of the paper's: the student at least +0.0086 AUC over its own backbone, and above 0.8376 in absolute "
        "terms.", "", "* autoint: yes (+0.0100); no (0.8200).", "* dcnv2: no (+0.0080); yes (0.8380)."]


def test_the_journal_survives_a_kill_in_the_middle_of_a_line(tmp_path):
    path = tmp_path / "results" / "gain.jsonl"
    Journal(path).add({"arm": "plain"}, {"auc": 0.7}, seed=1)
    path.write_text(path.read_text() + '{"seed": 2, "ke')
    journal = Journal(path)
    assert journal.get({"arm": "plain"}) == {"auc": 0.7} and journal.get({"arm": "aligned"}) is None
    journal.add({"arm": "aligned"}, {"auc": 0.8})
    assert [json.loads(line)["result"]["auc"] for line in path.read_text().splitlines()] == [0.7, 0.8]
    assert Journal(path).get({"arm": "aligned"}) == {"auc": 0.8}


def test_all_arms_are_searched_at_the_same_points():
    assert candidates(1) == [{}]
    found = candidates(9)
    assert found == candidates(9) and candidates(5) == found[:5] and found[0] == {}
    assert len({tuple(c.items()) for c in found}) == 9
    assert all(c[key] in SPACE[key] for c in found[1:] for key in SPACE)


def test_settings_reach_the_configuration():
    config = RunConfig(backbone_options={"hidden_units": [8]})
    changed = with_settings(config, {"training.embedding_l2": 1e-5, "backbone_options.dropout": 0.4})
    assert changed.training.embedding_l2 == 1e-5
    assert changed.backbone_options == {"hidden_units": [8], "dropout": 0.4}
    assert config.backbone_options == {"hidden_units": [8]}


class _Arms:
    """Answers in place of training: the AUC tells which arm, seed and learning rate it was."""

    def __init__(self, data, work):
        self.calls = []

    def run(self, arm, config, test=True):
        self.calls.append((arm, config.backbone, config.seed, config.training.learning_rate, test))
        auc = 0.6 + 0.01 * config.seed + (0.1 if config.training.learning_rate == 3e-3 else 0)
        figures = {"all": {"rows": 9, "auc": auc, "logloss": 0.5}}
        models = {"distilled": ["distilled", "teacher"]}.get(arm, [arm])
        return {m: {"validation": figures, **({"test": figures} if test else {})} for m in models}


class _Data:
    spec, rows, ingestion = SPEC, {"train": 9}, {"positive": {"train": 3}}


def _gain(tmp_path, monkeypatch, **config):
    monkeypatch.setattr(gain_runner, "Arms", _Arms)
    return gain_runner.Gain(_Data(), RunConfig(**config), tmp_path / "gain.md", tmp_path / "work", "# Gain")


def test_a_killed_benchmark_goes_on(tmp_path, monkeypatch):
    _gain(tmp_path, monkeypatch).measure({"autoint": [1]}, {})
    again = _gain(tmp_path, monkeypatch)
    again.measure({"autoint": [1, 2]}, {})
    assert [call[:3] for call in again._arms.calls] == [(arm, "autoint", 2) for arm in gain_runner.ARMS]
    assert "| autoint | teacher | 2 | 0.6150 ± 0.0071 | +0.0000 |" in (tmp_path / "gain.md").read_text()
    # What an arm does not read does not make it anew.
    changed = _gain(tmp_path, monkeypatch, distillation={"weight": 0.9})
    changed.measure({"autoint": [1]}, {})
    assert [call[0] for call in changed._arms.calls] == ["distilled"]


def test_tuning_never_sees_the_test_split_and_is_used(tmp_path, monkeypatch):
    benchmark = _gain(tmp_path, monkeypatch)
    tuned = benchmark.tune(["dcnv2"], 9)
    assert [call[0] for call in benchmark._arms.calls] == ["plain"] * 9 + ["aligned"] * 9
    assert tuned["dcnv2"]["distilled"] == tuned["dcnv2"]["aligned"]
    assert {(seed, test) for _, _, seed, _, test in benchmark._arms.calls} == {(0, False)}
    assert {settings["training.learning_rate"] for settings in tuned["dcnv2"].values()} == {3e-3}
    benchmark.measure({"dcnv2": [1]}, tuned)
    assert benchmark._arms.calls[-1] == ("distilled", "dcnv2", 1, 3e-3, True)
    benchmark.measure({"dcnv2": [1]}, tuned, control=True)
    assert benchmark._arms.calls[-1] == ("plain_distilled", "dcnv2", 1, 3e-3, True)
    assert "| dcnv2 | plain + distilled | 1 | " in (tmp_path / "gain.md").read_text()
    assert "- dcnv2, plain: `training.learning_rate` 0.003" in (tmp_path / "gain.md").read_text()


def test_the_split_can_be_cut_per_user():
    spec = datasets.load("movielens-1m")
    split = gain.with_split(spec, "user_time").split
    assert (split.by, split.time, split.user) == ("user_time", "timestamp", "user_id")
    assert split.fractions == spec.split.fractions
    assert gain.with_split(spec, None) is spec and gain.with_split(spec, "time") is spec
    with pytest.raises(UserError, match="names no column of times"):
        gain.with_split(SPEC, "user_time")


def test_a_user_is_told_what_is_wrong(tmp_path, monkeypatch, capsys):
    for arguments, words in (
            (["--set", "distillation.weight=0"], "distillation.weight is 0"),
            (["--tuned", str(tmp_path / "none.json")], "none.json: cannot be read as settings"),
            (["--tune", "-1"], "--tune -1: must be")):
        monkeypatch.setattr("sys.argv", ["gain", "--root", str(tmp_path), *arguments])
        assert gain.main() == 2
        assert words in capsys.readouterr().err
