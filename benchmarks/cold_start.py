"""Measures what embeddings made from texts are worth to items and users without clicks.

    python -m benchmarks.cold_start --movielens DIR --datasets movielens-100k movielens-1m:1 --seeds 1 2 3 \\
        --text-only year genres

Hides a tenth of the items (and, apart, of the users) from training, trains by `ctrl run`
and exports the model anew with rows for the hidden entries. `DIR` holds the official
`ml-100k` and `ml-1m`. The result, whatever it is, is written to
`benchmarks/results/cold_start.md`, and every training's to a JSONL file beside it as it comes:
the same command goes on after a kill. A training takes as long as that of `ctrl run`; `--smoke`
tries everything out on a part of the sample in minutes.
"""

from __future__ import annotations

import argparse
import glob
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator

from benchmarks.cold_start_table import ROWS, table
from benchmarks.command import RESULTS, run, seeds_of, shown_command
from benchmarks.journal import Journal, task_config
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from pipeline import console, datasets
from pipeline.config import RunConfig

HEADER = """# Cold start

Written by `{command}`; {cores} CPU cores.

A tenth of the entries of a side, chosen by a hash of the id, has no row before the test split (the newest tenth of the
log); rows before it are training and validation, eight to one at random. AUC on the hidden entries' test rows, of the
exported models, mean ± standard deviation over seeds: with the **shared** out-of-vocabulary row that they get without
more ado, with the **mean** of the rows of entries seen at least {min_count} times, and with rows made from their
**texts** by `TextToEmbedding` (language model {language_model}, frozen). Nothing else in the models differs. "In the
text only": the ID model does not read these columns, as where a log's items are an id and a text. "Aligned"
is what `ctrl run` would push{teachers}. "Explained" is the share of the variance of warm entries' rows that their texts
explain, left-one-out on training data, by feature. A few hundred rows tell differences of a few hundredths at best:
read the number of rows first.
"""
SHARE = 0.1
# What an item or user is known by: these features' values are hidden with it, the id first.
KEYS = {
    "sample": {"item": ("item_id", "title"), "user": ("user_id",)},
    "movielens-100k": {"item": ("movie_id", "title"), "user": ("user_id",)},
    "movielens-1m": {"item": ("movie_id", "title"), "user": ("user_id",)},
}
_FOLDERS = {"movielens-100k": "ml-100k", "movielens-1m": "ml-1m"}
_SMOKE_ROWS = 2_000
_MODELS = {"plain": "PlainTrainer", "aligned": "DistillationTrainer"}
_REFUSED = 3


def main() -> int:
    """Entry point. Returns the exit status: 0, or 2 for a user's error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--movielens", metavar="DIR", help="folder that holds ml-100k and ml-1m")
    parser.add_argument("--datasets", nargs="+", default=list(KEYS), metavar="NAME[:SEEDS]",
                        help=f"of {', '.join(KEYS)}; each with the seeds of --seeds, or with its own: movielens-1m:1")
    parser.add_argument("--hide", nargs="+", choices=("item", "user"), default=["item", "user"])
    parser.add_argument("--text-only", nargs="+", default=(), metavar="FEATURE",
                        help="measure also with those of these features that are the hidden side's in the texts alone, "
                             "and not in the ID model")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for `ctrl run`")
    parser.add_argument("--smoke", action="store_true", help="2,000 rows of the sample, untrained language model")
    parser.add_argument("--output", type=pathlib.Path, default=RESULTS / "cold_start.md")
    return run("cold_start", _benchmark, parser.parse_args())


def _benchmark(options: argparse.Namespace) -> None:
    if options.smoke:
        options.datasets, options.hide = ["sample"], ["item"]
        options.set += ["language_model=tiny-random", "training.batch_size=128", "alignment.batch_size=128"]
    seeds = seeds_of("--datasets", options.datasets, options.seeds)
    unknown = [name for name in seeds if name not in KEYS]
    if unknown:
        raise UserError(f"--datasets {unknown[0]}: must be of {', '.join(KEYS)}")
    if not options.movielens and seeds.keys() & _FOLDERS.keys():
        raise UserError("MovieLens needs --movielens DIR")
    told = {f.name for name in seeds for side in options.hide
            for f in datasets.load(name).side(side) if f.model and f.text}
    unknown = [name for name in options.text_only if name not in told]
    if unknown:
        raise UserError(f"--text-only {unknown[0]}: what both the ID model and the texts read of the hidden side is: "
                        f"{', '.join(sorted(told))}")
    console.set_environment()
    from models.text_to_embedding import TextToEmbedding

    config = RunConfig.load("sample", None, options.set)
    header = HEADER.format(
        command=shown_command("benchmarks.cold_start", sys.argv[1:]), cores=os.cpu_count(),
        min_count=TextToEmbedding().min_count, language_model=config.language_model,
        teachers="" if config.distillation.weight else ", here without teachers")
    journal = Journal(options.output.with_suffix(".jsonl"))
    results = []
    for shown, spec, side in _logs(seeds, options):
        results.append((shown, side, {}))
        with tempfile.TemporaryDirectory() as folder:
            for seed in seeds[spec.name]:
                results[-1][2][seed] = _known(spec, side, seed, options, journal, pathlib.Path(folder))
                options.output.write_text(f"{header}\n{table(results)}\n", encoding="utf-8")
    print(options.output.read_text(encoding="utf-8"))


def _logs(names: Iterable[str], options) -> Iterator[tuple[str, DatasetSpec, str]]:
    """What is measured: a dataset, as tables show it and as it is specified, and which side is hidden in it."""
    for name, side in itertools.product(names, options.hide):
        spec = datasets.load(name)
        yield name, spec, side
        only = [f.name for f in spec.side(side) if f.model and f.text and f.name in options.text_only]
        if only:
            yield f"{name}, {' and '.join(only)} in the text only", DatasetSpec.model_validate({
                **spec.model_dump(),
                "features": [{**f.model_dump(), "model": f.model and f.name not in only} for f in spec.features],
            }), side


def _known(spec: DatasetSpec, side: str, seed: int, options, journal: Journal, folder: pathlib.Path) -> dict:
    """The result of one training, from the journal or a new one; the seeds share the folder of their runs."""
    # What the stage of the pipeline does by itself is measured here from without.
    settings = [*options.set, f"seed={seed}", "data.max_unknown_share=1", "cold_start.enabled=false"]
    config = RunConfig.load(spec.name, None, settings, options.smoke)
    task = {"spec": spec.to_json(), "side": side, "config": task_config(config), "smoke": options.smoke}
    result = journal.get(task)
    if result is None:
        result = _run(spec, side, settings, config, options, folder)
        journal.add(task, result, dataset=spec.name, side=side, seed=seed)
    return result


def _run(spec: DatasetSpec, side: str, settings: list[str], config: RunConfig, options, folder: pathlib.Path) -> dict:
    """What one training comes to."""
    from benchmarks.hidden_log import write_hidden_log

    name = spec.name
    keys = KEYS[name][side]
    data_dir = str(pathlib.Path(options.movielens, _FOLDERS[name])) if name in _FOLDERS else None
    path = folder / "spec.yaml"
    with console.quiet(folder / "log"):
        # Written once, so that the runs of other seeds reuse what was prepared.
        spec = DatasetSpec.load(path) if path.exists() else write_hidden_log(
            datasets.materialise(spec, folder), folder, keys[0], SHARE,
            rows=_SMOKE_ROWS if options.smoke else None, data_dir=data_dir)
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from pipeline.cli import main; sys.exit(main())", "run",
         "--dataset", str(path), "--root", str(folder), *(["--smoke"] if options.smoke else []),
         *(a for s in settings for a in ("--set", s))],
        stdout=sys.stderr)
    # A model that the gate refuses is measured as well.
    if done.returncode not in (0, _REFUSED):
        sys.exit(f"ctrl run failed with status {done.returncode}")
    artifacts = folder / (f"{name}-smoke" if options.smoke else name) / "artifacts"
    with console.quiet(folder / "log"):
        return _measure(spec, config, artifacts, side, keys)


def _measure(spec, config, artifacts: pathlib.Path, side: str, keys: tuple[str, ...]) -> dict:
    """What each model makes of the hidden entries: AUC by kind of row."""
    import numpy as np
    import tensorflow_transform as tft
    from sklearn.metrics import roc_auc_score

    from benchmarks.hidden_log import is_hidden
    from models import raw_example
    from models.ctr_model import CTRModel
    from models.embedding_rows import rows_of
    from models.entry_texts import EntryTexts
    from models.preprocessing import fields
    from models.text_to_embedding import TextToEmbedding
    from serving.export import export_ctr_model, restore_weights

    tft_output = tft.TFTransformOutput(_newest(artifacts, "Transform/transform_graph/*"))
    train, test = (_examples(artifacts, split) for split in ("train", "test"))
    decoded = [raw_example.decode(row) for row in test]
    rows = [i for i, values in enumerate(decoded) if is_hidden(_value(values, keys[0]), SHARE)]
    test, labels = [test[i] for i in rows], np.array([decoded[i]["label"][0] for i in rows])
    hidden = {_value(decoded[i], keys[0]) for i in rows}
    known = {key: EntryTexts(spec, key) for key in keys}
    for serialized in train:
        values = raw_example.decode(serialized)
        for entries in known.values():
            entries.add(values)
    for i in rows:
        for entries in known.values():
            entries.add(decoded[i], trained=False)
    vectors = _vectors(artifacts, side)

    found = {}
    for model_name, trainer in _MODELS.items():
        model = CTRModel(
            fields(spec, tft_output), backbone=config.backbone, embedding_dim=config.embedding_dim,
            backbone_options=config.backbone_options, history_pooling=config.history_pooling)
        restore_weights(model, _newest(artifacts, f"{trainer}/model/*/Format-Serving"))
        mean, made, explained = {}, {}, {}
        for key, entries in known.items():
            vocabulary = tft_output.vocabulary_by_name(f"{key}_vocabulary")
            ids = {value.decode(): 1 + i for i, value in enumerate(vocabulary)}
            warm = [v for v, count in entries.counts.items() if count and v in ids]
            cold = [v for v, count in entries.counts.items() if not count]
            mapping = TextToEmbedding().fit(
                vectors(map(entries.text, warm)), rows_of(model, key)[[ids[v] for v in warm]],
                np.array([entries.counts[v] for v in warm]))
            explained[key] = mapping.explained
            made[key] = mapping.catalogue(cold, vectors(map(entries.text, cold)), np.zeros(len(cold)))
            mean[key] = dict.fromkeys(cold, mapping.mean_row)
        found[model_name] = {"explained": explained}
        for kind, catalogue in zip(ROWS, (None, mean, made)):
            with tempfile.TemporaryDirectory() as folder:
                export_ctr_model(model, tft_output, spec, folder, catalogue)
                found[model_name][kind] = float(roc_auc_score(labels, _scores(folder, test)))
    return {"entries": len(hidden), "rows": len(rows), "clicks": int(labels.sum()), "models": found}


def _value(values: dict, key: str) -> str:
    return values[key][0].decode() if values.get(key) else ""


def _vectors(artifacts: pathlib.Path, side: str):
    """A function from texts of a side to their vectors, as the run encoded them."""
    import numpy as np
    import tensorflow as tf

    from components.textualiser.executor import fingerprint
    from models.text_table import TextTable

    table = TextTable.load(_newest(artifacts, "TextEncoder/text_vectors/*"))[side]
    return lambda texts: table.vectors[
        table.lookup(tf.constant(np.array([fingerprint(t) for t in texts], np.int64))).numpy()]


def _scores(export_dir: str, examples: list[bytes]):
    import numpy as np
    import tensorflow as tf

    score = tf.saved_model.load(export_dir).signatures["serving_default"]
    return np.concatenate([
        score(examples=tf.constant(examples[i:i + 4096]))["logit"].numpy() for i in range(0, len(examples), 4096)])


def _examples(artifacts: pathlib.Path, split: str) -> list[bytes]:
    import tensorflow as tf

    files = sorted(glob.glob(str(artifacts / f"ExampleGen/examples/*/Split-{split}/*.gz")))
    return list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())


def _newest(artifacts: pathlib.Path, pattern: str) -> str:
    """The path of the last run: `*` stands for the number of the execution."""
    number = pathlib.PurePath(pattern).parts.index("*")
    return str(max(artifacts.glob(pattern), key=lambda path: int(path.relative_to(artifacts).parts[number])))


if __name__ == "__main__":
    sys.exit(main())
