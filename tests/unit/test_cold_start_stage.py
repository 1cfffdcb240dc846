"""The stage that adds rows for new entries, on a log of known origin."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import raw_example
from models.catalogue_rows import CatalogueRows
from models.ctr_model import CTRModel
from models.field import Field
from models.spec.dataset_spec import DatasetSpec
from models.text_table import TextTable
from pipeline.catalogue import Catalogue
from pipeline.run_fns import cold_start
from pipeline.settings.cold_start import ColdStart

SPEC = DatasetSpec.parse(
    """
name: toy
source: {format: csv, path: toy.csv}
label: {column: clicked}
openings: {item: This is a film}
features:
- {name: user_id, side: user, kind: categorical}
- {name: film_id, side: item, kind: categorical}
- {name: price, side: item, kind: numeric, text: "costs {}"}
""", where="toy.yaml")
FILMS, WIDTH = 40, 6


class Stage:
    """What the stage's functions ask of a `Stage`: films 1 to 40 are known, 41 and 42 are in the log only."""

    def __init__(self, folder):
        random = np.random.default_rng(0)
        self.spec = SPEC
        self.config = types.SimpleNamespace(
            max_tokens=16, text_form="prose", model_name="films", cold_start=ColdStart())
        self.lines = []
        self.progress = self.lines.append
        self.vectors = random.normal(size=(FILMS + 2, WIDTH)).astype("float32")
        keys = np.arange(FILMS + 2) + 100
        self.text_tables = {"item": TextTable(keys, np.concatenate([np.zeros((1, WIDTH), "float32"), self.vectors]))}
        self._files = {
            # A film that was seen once has no row of its own: its feature's min_count is 2.
            "train": _write(folder / "train.gz", [*range(FILMS)] * 6 + [FILMS]),
            "validation": _write(folder / "rest.gz", [FILMS + 1, 0])}
        keras.utils.set_random_seed(1)
        self.student = CTRModel([
            Field("user_id", "categorical", 4, "user_id"), Field("film_id", "categorical", FILMS + 2, "film_id")],
            embedding_dim=4, backbone_options={"hidden_units": [8]})
        # Row 0 is padding, the last the one that unknown values share.
        self.told = self.vectors @ random.normal(size=(WIDTH, 4))
        table = np.concatenate([np.zeros((1, 4)), self.told[:FILMS], np.ones((1, 4))])
        self.student.embedding.tables["film_id"].assign(table)

    def files(self, split):
        return self._files[split]

    def vocabulary(self, feature):
        return [f"f{i}" for i in range(FILMS)]

    def language_model(self):
        """The vector of a film that costs p is that of the log's film p."""
        return types.SimpleNamespace(encode=lambda texts, max_tokens: self.vectors[
            [int(text.removeprefix("This is a film, costs ").rstrip(".")) for text in texts]])


def _write(path, films):
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for film in films:
            writer.write(raw_example.encode({
                "film_id": [f"f{film}"], "user_id": ["u"], "item_text_key": [film + 100], "label": [0]}))
    return [str(path)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    return Stage(tmp_path_factory.mktemp("log"))


def test_the_logs_unknown_entries_get_the_rows_that_their_texts_tell(stage):
    rows = cold_start.from_log(stage, stage.student)
    # The user side has an id, but says nothing.
    assert list(rows.rows) == ["film_id"] and sorted(rows.rows["film_id"]) == ["f40", "f41"]
    np.testing.assert_allclose(
        np.stack([rows.rows["film_id"][v] for v in ("f40", "f41")]), stage.told[FILMS:], atol=0.05)
    assert stage.lines.pop() == "film_id: texts explain 100.0% of its rows; 2 new values got one"


def test_known_entries_with_few_rows_may_get_another(stage, monkeypatch, tmp_path):
    # Films 0 to 2 have three rows of training, the others six.
    files = {"train": _write(tmp_path / "train.gz", [*range(FILMS)] * 3 + [*range(3, FILMS)] * 3),
             "validation": stage.files("validation")}
    monkeypatch.setattr(stage, "_files", files)
    for few_rows, expected in ((2, ["f41"]), (3, ["f0", "f1", "f2", "f41"])):
        monkeypatch.setattr(stage.config, "cold_start", ColdStart(few_rows=few_rows))
        rows = cold_start.from_log(stage, stage.student).rows["film_id"]
        assert sorted(rows) == expected
    np.testing.assert_allclose(rows["f1"], stage.told[1], atol=0.05)
    assert stage.lines.pop() == (
        "film_id: texts explain 100.0% of its rows; 1 new values got one, 3 with few rows another")
    stage.lines.pop()


def test_where_texts_explain_nothing_nothing_is_filled(stage):
    table = stage.student.embedding.tables["film_id"]
    before = np.asarray(table)
    try:
        # Rows that have nothing to do with their texts.
        table.assign(np.sign(np.sin(np.arange(before.size) ** 2.0)).reshape(before.shape))
        rows = cold_start.from_log(stage, stage.student)
    finally:
        table.assign(before)
    assert rows.mappings["film_id"].explained <= 0
    assert rows.rows == {"film_id": {}}
    assert stage.lines.pop().startswith("film_id: texts explain nothing of its rows; ")


def test_a_catalogues_new_entries_are_added_and_the_others_left(stage):
    rows = cold_start.from_log(stage, stage.student)
    made = {value: row.copy() for value, row in rows.rows["film_id"].items()}
    entries = [{"film_id": [f], "price": [p]} for f, p in (("f3", 0.0), ("f41", 0.0), ("new", 7.0), ("last", 9.0))]
    cold_start.add_catalogue(stage, rows, Catalogue("item", tuple(entries), ("a row",)))
    assert stage.lines.pop() == "catalogue: 2 of 4 entries are new, 1 rejected"
    assert list(rows.rows["film_id"]) == ["f40", "f41", "new", "last"]
    np.testing.assert_allclose(rows.rows["film_id"]["new"], stage.told[7], atol=0.05)
    np.testing.assert_allclose(rows.rows["film_id"]["last"], stage.told[9], atol=0.05)
    for value, row in made.items():
        np.testing.assert_array_equal(rows.rows["film_id"][value], row)


def test_the_stage_exports_the_student_with_its_new_rows(stage, monkeypatch, tmp_path):
    """And goes on from what it left, when it is given it."""
    exported = []
    stage.base_model, stage.tft_output = "student", None
    stage.new_ctr_model = lambda: stage.student
    monkeypatch.setattr(cold_start.Stage, "from_fn_args", lambda fn_args, name: stage)
    monkeypatch.setattr(cold_start, "restore_weights", lambda model, folder: None)
    monkeypatch.setattr(
        cold_start, "export_ctr_model", lambda *arguments, **options: exported.append((arguments[-1], options)))
    catalogue = tmp_path / "items.csv"
    runs = [tmp_path / "1", tmp_path / "2"]
    for run, base_run, text in ((runs[0], None, None), (runs[1], runs[0], "film_id,price\nf1,2\nnew,5\n,1\n")):
        catalogue.write_text(text or "", encoding="utf-8")
        monkeypatch.setattr(
            stage.config, "cold_start", ColdStart(catalogue=str(catalogue) if text else None, side="item"))
        cold_start.run_fn(types.SimpleNamespace(
            custom_config={"base_run": base_run and str(base_run)}, model_run_dir=str(run), serving_model_dir="out"))
    first, second = (catalogue["film_id"] for catalogue, _ in exported)
    assert list(first) == ["f40", "f41"] and list(second) == ["f40", "f41", "new"]
    for value, row in first.items():
        np.testing.assert_array_equal(second[value], row)
    np.testing.assert_allclose(second["new"], stage.told[5], atol=0.05)
    assert list(CatalogueRows.load(str(runs[1])).rows["film_id"]) == ["f40", "f41", "new"]
    for _, options in exported:
        assert options["model_name"] == "films"
        # The rows of the training split, for requests to warm up with.
        assert [row["film_id"] for row in options["warmup_rows"][:2]] == [[b"f0"], [b"f1"]]
        assert len(options["warmup_rows"]) == 6 * FILMS + 1
