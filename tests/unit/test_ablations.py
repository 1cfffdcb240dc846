import numpy as np
import pytest

from benchmarks import ablation_runner, ablations
from benchmarks.ablation_list import Ablation, one_of_each
from benchmarks.ablation_list import ablations as all_ablations
from benchmarks.ablation_table import paired, table
from benchmarks.search import with_settings
from models.spec.errors import UserError
from pipeline.config import RunConfig
from tests.unit.test_gain import SPEC


def _runs(*values):
    return {seed: {"all": {"rows": 9, "auc": v, "logloss": 1 - v}} for seed, v in enumerate(values, 1)}


def test_each_changes_one_thing_and_sub_spaces_keep_the_total_width():
    config = RunConfig.load("movielens-100k")
    found = all_ablations(config)
    assert [a.value for a in found if with_settings(config, a.settings) == config and a.arm == "aligned"] == [
        "as configured", "2 of width 64", "0.1", "1,024", "prose"]
    for ablation in found:
        alignment = with_settings(config, ablation.settings).alignment
        assert alignment.num_subspaces * alignment.subspace_width == 128
    assert with_settings(config, {"text_form": "dash"}).text_form == "dash"
    assert [a.group for a in one_of_each(found)] == list(dict.fromkeys(a.group for a in found))


@pytest.mark.parametrize(("settings", "words"), [
    (["alignment.subspace_width=6"], "12, which does not divide into 8 sub-spaces; take a multiple, as 128"),
    (["text_mode=finetune"], "which only 'frozen' has"),
])
def test_a_configuration_that_cannot_be_compared_is_refused(settings, words):
    with pytest.raises(UserError, match=words):
        all_ablations(RunConfig.load("toy", None, settings))


def test_paired_differences_by_hand():
    # Differences .01, .02, .03; t = .02 / (.01 / sqrt 3) = 3.464 with two degrees of freedom.
    mean, deviation, p = paired({1: 0.71, 2: 0.82, 3: 0.78, 4: 0.9}, {1: 0.70, 2: 0.80, 3: 0.75})
    assert (mean, deviation) == pytest.approx((0.02, 0.01)) and p == pytest.approx(0.0742, abs=1e-4)
    assert paired({1: 0.75}, {1: 0.5}) == (0.25, None, None)
    assert paired({1: 0.75, 2: 0.5}, {1: 0.5, 2: 0.25}) == (0.25, 0.0, None)
    assert paired({1: 0.75}, {2: 0.5}) is None


def test_the_table():
    reference, other = _runs(0.70, 0.80), _runs(0.71, 0.83)
    found = table([(Ablation("reference", "nothing", "as configured"), reference), (Ablation("a", "b", "c"), other)],
                  reference)
    assert found.splitlines()[2:] == [
        "| nothing | as configured | 2 | 0.7500 ± 0.0707 | reference |  | 0.2500 ± 0.0707 | reference |  |",
        "| b | c | 2 | 0.7700 ± 0.0849 | +0.0200 ± 0.0141 | 0.3 | 0.2300 ± 0.0849 | -0.0200 ± 0.0141 | 0.3 |"]


class _Arms:
    """Answers in place of training, and keeps what was asked."""

    calls = []

    def __init__(self, data, work):
        self._data = data

    def run(self, arm, config, joint_weight):
        alignment = config.alignment
        self.calls.append((arm, self._data.text, alignment.num_subspaces, config.seed, joint_weight))
        auc = float(np.float32(0.5 + len(self.calls) / 100))
        return {arm: {"validation": {}, "test": {"all": {"rows": 9, "auc": auc, "logloss": 0.5}}}}


class _Data:
    spec, rows, ingestion = SPEC, {"train": 9}, {"positive": {"train": 3}}

    def __init__(self, text="own"):
        self.text = text

    def with_text(self, config):
        return _Data(f"{config.language_model}, {config.text_form}")


def _measure(folder, monkeypatch, seeds, groups):
    monkeypatch.setattr(ablation_runner, "Arms", _Arms)
    monkeypatch.setattr(_Arms, "calls", [])
    config = RunConfig()
    ablation_runner.AblationRunner(
        _Data(), config, all_ablations(config), folder / "a.md", folder / "work", "# A").measure(seeds, groups)
    return _Arms.calls, (folder / "a.md").read_text(encoding="utf-8")


def test_equal_rows_are_trained_once_and_earlier_results_stay_in_the_table(tmp_path, monkeypatch):
    calls, text = _measure(tmp_path, monkeypatch, [1], {"cosine", "subspaces"})
    # Cosine is one sub-space, and two sub-spaces are the reference.
    assert calls == [("aligned", "own", m, 1, 1.0) for m in (2, 1, 4, 8)]
    assert "| sub-spaces M | 2 of width 64 | 1 | 0.5100 | reference |" in text
    assert "| max-sim | cosine | 1 | 0.5200 | +0.0100 | – |" in text
    assert "| sub-spaces M | 1 of width 128 | 1 | 0.5200 | +0.0100 | – |" in text
    calls, text = _measure(tmp_path, monkeypatch, [1], {"joint", "plain"})
    assert calls == [("plain", "own", 2, 1, 1.0), ("joint", "own", 2, 1, 1.0), ("joint", "own", 2, 1, 0.1)]
    assert "| sub-spaces M | 8 of width 16 | 1 | 0.5400 |" in text and "plain backbone" in text


def test_other_texts_get_vectors_of_their_own(tmp_path, monkeypatch):
    calls, _ = _measure(tmp_path, monkeypatch, [1, 2], {"text_form", "random_weights"})
    assert [call[1] for call in calls] == [
        "own", "own", "minilm-random, prose", "minilm-random, prose",
        *(f"minilm, {form}" for form in ("dash", "values", "masked_names", "key_value", "field_value")
          for seed in (1, 2))]


def test_an_adapted_language_model_has_vectors_of_its_own():
    config = RunConfig()
    adapted, = (a for a in all_ablations(config) if a.group == "adaptation")
    text = ablation_runner._text
    assert text(with_settings(config, adapted.settings)) != text(config) == text(RunConfig(seed=2))


def test_a_user_is_told_which_ablations_there_are(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["ablations", "--root", str(tmp_path), "--only", "cosinus"])
    assert ablations.main() == 2
    assert "--only cosinus: there is no such ablation; there are: plain, random_weights" in capsys.readouterr().err
