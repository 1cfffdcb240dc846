"""Rows for entries with no or few clicks, made from their texts and added to the student at export."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tfx.utils import io_utils

from models import raw_example
from models.catalogue_rows import CatalogueRows
from models.ctr_model import CTRModel
from models.embedding_rows import rows_of
from models.logged_entries import LoggedEntries
from models.sentence_writer import SentenceWriter
from models.spec.dataset_spec import ENTITY_SIDES
from pipeline.catalogue import Catalogue
from pipeline.run_fns import daily
from pipeline.run_fns.stage import Stage
from pipeline.run_fns.warmup_rows import read_rows
from serving.export import export_ctr_model, restore_weights


def run_fn(fn_args) -> None:
    """Exports the student with rows for new entries; keeps the maps that made them.

    The student in `base_model` is trained no further, and keeps all its rows. With
    `base_run`, what an earlier run of this stage left, its maps and rows are taken and
    only the catalogue's entries are added; without, they are made from the log.
    """
    stage = Stage.from_fn_args(fn_args, "cold start")
    student = stage.new_ctr_model()
    restore_weights(student, stage.base_model)
    base_run = fn_args.custom_config["base_run"]
    rows = CatalogueRows.load(base_run) if base_run else from_log(stage, student)
    options = stage.config.cold_start
    if options.catalogue:
        # The catalogue may lie in object storage.
        path = io_utils.ensure_local(options.catalogue)
        add_catalogue(stage, rows, Catalogue.read(path, stage.spec, options.side))
    rows.save(fn_args.model_run_dir)
    # Textualised examples hold the raw features too.
    export_ctr_model(student, stage.tft_output, stage.spec, fn_args.serving_model_dir, rows.rows,
                     warmup_rows=read_rows(stage.files("train")), model_name=stage.config.model_name)
    daily.hand_on(fn_args)


def from_log(stage: Stage, student: CTRModel) -> CatalogueRows:
    """Learns the maps from the entries that the student knows; makes rows for the log's others.

    Known are the values with a row of their own. Of the others, seen in training fewer
    times than the feature's `min_count` or in another split only, the text is read but
    no label. Of the known ones those with `few_rows` rows or less get a row like them.

    Args:
        stage: its files are textualised examples in frozen mode.
        student: the trained model.
    """
    result = CatalogueRows()
    for side in (s for s in ENTITY_SIDES if s in stage.spec.text_sides):
        table = stage.text_tables[side]
        for name in stage.spec.entity_ids(side):
            entries = LoggedEntries(stage.spec, name)
            entries.add(stage.files("train"), trained=True)
            entries.add(stage.files("validation"), trained=False)

            def vectors(values, entries=entries, table=table):
                keys = np.array([entries.text_key(value) for value in values], np.int64)
                return table.vectors[table.lookup(tf.constant(keys)).numpy()]

            ids = {value: 1 + i for i, value in enumerate(stage.vocabulary(name))}
            known = [value for value in entries.counts if value in ids]
            unknown = sorted(set(entries.counts) - set(known))
            few = sorted(value for value in known if entries.counts[value] <= stage.config.cold_start.few_rows)
            if result.fit(name, vectors(known), rows_of(student, name)[[ids[value] for value in known]],
                          np.array([entries.counts[value] for value in known])):
                result.add(name, unknown + few, vectors(unknown + few))
            stage.progress(_outcome(name, result, len(unknown), len(few)))
    return result


def add_catalogue(stage: Stage, rows: CatalogueRows, catalogue: Catalogue) -> None:
    """Makes rows for the entries of a catalogue that have none.

    Their texts are written and encoded as those of the log are.
    """
    ids = stage.spec.entity_ids(catalogue.side)
    new = catalogue.unknown(stage.spec, rows, {name: set(stage.vocabulary(name)) for name in ids})
    stage.progress(f"catalogue: {len(new):,} of {len(catalogue.entries):,} entries are new, "
                   f"{len(catalogue.rejected):,} rejected")
    if not new:
        return
    writer = SentenceWriter(stage.spec, stage.config.text_form)
    # Numbers as the log's examples hold them, in single precision: a text must not differ by their digits.
    kept = [raw_example.decode(raw_example.encode(entry)) for entry in new]
    texts = [writer.side(catalogue.side, entry, with_history=False) for entry in kept]
    vectors = stage.language_model().encode(texts, stage.config.max_tokens)
    for name in filter(rows.can_add, ids):
        known = set(stage.vocabulary(name))
        # Of entries that share a name the first one's text makes its row.
        first = {}
        for i, entry in enumerate(new):
            for value in entry[name]:
                first.setdefault(value, i)
        made = [value for value in first if value not in known]
        rows.add(name, made, vectors[[first[value] for value in made]])


def _outcome(name: str, rows: CatalogueRows, unknown: int, few: int) -> str:
    if name not in rows.mappings:
        return f"{name}: too few values are known well enough to learn from; {unknown:,} new ones share a row"
    if not rows.can_add(name):
        return f"{name}: texts explain nothing of its rows; {unknown:,} new values share a row"
    explained, made = rows.mappings[name].explained, len(rows.rows[name]) - few
    return (f"{name}: texts explain {explained:.1%} of its rows; {made:,} new values got one"
            + (f", {few:,} with few rows another" if few else ""))
