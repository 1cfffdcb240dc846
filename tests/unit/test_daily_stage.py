"""What training stages leave on one day and begin with on the next, without a pipeline."""

import types

import keras
import numpy as np
import pytest

from models.alignment_model import AlignmentModel
from models.ctr_model import CTRModel
from models.field import Field
from models.rolling_vocabulary import RollingVocabulary
from models.spec.dataset_spec import DatasetSpec
from models.text_tower import TextTower
from pipeline.run_fns import daily

SPEC = DatasetSpec.parse(
    """
name: toy
source: {format: csv, path: "toy-{SPAN}.csv"}
label: {column: clicked}
split: {by: day}
features:
- {name: film, side: item, kind: categorical}
""", where="toy.yaml")
FILMS = [(b"a", b"b"), (b"a", b"b", b"c")]


class Stage:
    """A stage of day 0 or 1, as far as its beginning and end go."""

    def __init__(self, day, earlier_model=None, hidden=8):
        self.spec, self.earlier_model = SPEC, earlier_model
        self.config = types.SimpleNamespace(language_model="tiny-random")
        self.tft_output = types.SimpleNamespace(vocabulary_by_name=lambda name: {"film_vocabulary": FILMS[day]}[name])
        self.lines, self.is_chief, self.log_odds = [], True, -2.0
        self.progress = self.lines.append
        self._films, self._hidden = len(FILMS[day]) + 2, hidden
        keras.utils.set_random_seed(day)

    def ctr_model(self):
        field = Field("film", "categorical", self._films, "film")
        return CTRModel([field], "wide_deep", 4, {"hidden_units": [self._hidden]})

    def alignment_model(self):
        tower = TextTower({"item": np.eye(3, 5, -1, "float32")})
        return AlignmentModel(self.ctr_model(), tower, num_subspaces=2, width=3)


def fn_args(folder, name, base=None, span=1, **custom):
    return types.SimpleNamespace(
        serving_model_dir=str(folder / name / "Format-Serving"),
        base_model=base and str(folder / base / "Format-Serving"),
        custom_config={"span": span, **{key: str(folder / value) for key, value in custom.items()}})


@pytest.fixture(scope="module")
def monday(tmp_path_factory):
    """What the models of day 0 left below a folder, and the models."""
    folder, stage = tmp_path_factory.mktemp("monday"), Stage(0)
    plain, student, alignment = stage.ctr_model(), stage.ctr_model(), stage.alignment_model()
    (folder / "vocabularies").mkdir()
    RollingVocabulary(FILMS[0], np.zeros(2, np.int64)).save(str(folder / "vocabularies"), "film")
    daily.leave_ctr_model(fn_args(folder, "plain"), plain, daily.PLAIN)
    daily.leave_alignment(fn_args(folder, "aligned"), stage, alignment)
    args = fn_args(folder, "student", base="aligned")
    daily.hand_on(args)
    daily.leave_ctr_model(args, student, daily.STUDENT)
    daily.hand_on(fn_args(folder, "last", base="student", plain_model="plain", vocabularies="vocabularies"))
    return types.SimpleNamespace(folder=folder, uri=str(folder / "last"), plain=plain, student=student,
                                 alignment=alignment)


def rows(model):
    return keras.ops.convert_to_numpy(model.embedding.tables["film"])


def test_each_model_begins_with_its_own_of_the_day_before(monday):
    stage = Stage(1, monday.uri)
    plain = stage.ctr_model()
    initial = rows(plain).copy()
    daily.start_ctr_model(stage, plain, daily.PLAIN)
    np.testing.assert_array_equal(rows(plain)[[0, 1, 2, 4]], rows(monday.plain)[[0, 1, 2, 3]])
    np.testing.assert_array_equal(rows(plain)[3], initial[3])
    np.testing.assert_array_equal(plain.output_layer.kernel, monday.plain.output_layer.kernel)
    assert stage.lines == []


def test_alignment_begins_with_the_student_and_its_own_projections(monday):
    stage = Stage(1, monday.uri)
    model = stage.alignment_model()
    daily.start_alignment(stage, model)
    np.testing.assert_array_equal(rows(model.ctr_model)[:3], rows(monday.student)[:3])
    for ours, theirs in zip(model.text_projection.weights + model.tabular_projection.weights,
                            monday.alignment.text_projection.weights + monday.alignment.tabular_projection.weights,
                            strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert stage.lines == []


def test_the_student_keeps_its_output_layer_or_gets_a_new_one(monday):
    student = Stage(1, monday.uri).ctr_model()
    daily.start_output_layer(Stage(1, monday.uri), student)
    np.testing.assert_array_equal(student.output_layer.kernel, monday.student.output_layer.kernel)
    before = np.array(student.output_layer.kernel)
    daily.start_output_layer(Stage(1), student)
    assert np.abs(np.array(student.output_layer.kernel) - before).max() > 1e-3
    assert float(student.output_layer.bias[0]) == -2


def test_another_architecture_says_what_it_begins_without(monday):
    stage = Stage(1, monday.uri, hidden=9)
    daily.start_ctr_model(stage, stage.ctr_model(), daily.STUDENT)
    (line,) = stage.lines
    assert line == ("not taken over from the earlier day's model: backbone and output layer: it was wide_deep "
                    "{'hidden_units': [8]}")


def test_a_model_that_the_earlier_day_lacks_begins_anew(monday):
    stage = Stage(1, str(monday.folder / "student"))  # no plain backbone was trained that day
    model = stage.ctr_model()
    initial = rows(model).copy()
    daily.start_ctr_model(stage, model, daily.PLAIN)
    np.testing.assert_array_equal(rows(model), initial)
    daily.start_ctr_model(Stage(1), model, daily.PLAIN)
    np.testing.assert_array_equal(rows(model), initial)


def test_a_run_of_one_log_leaves_nothing(tmp_path):
    args = fn_args(tmp_path, "model", base="base", span=None)
    daily.leave_ctr_model(args, Stage(0).ctr_model(), daily.PLAIN)
    daily.hand_on(args)
    assert not (tmp_path / "model").exists()
