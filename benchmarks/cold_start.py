"""Measures what embeddings made from texts are worth to items and users without clicks.

    python -m benchmarks.cold_start --movielens DIR

Hides a tenth of the items (and, apart, of the users) from training, trains by `ctrl run`
and exports the model anew with rows for the hidden entries. `DIR` holds the official
`ml-100k` and `ml-1m`. The result, whatever it is, is written to
`benchmarks/results/cold_start.md`. A run takes as long as a `ctrl run` of the dataset;
`--smoke` tries everything out on a part of the sample in two minutes.
"""

from __future__ import annotations

import argparse
import glob
import os
import pathlib
import subprocess
import sys
import tempfile

from pipeline import console, datasets
from pipeline.config import RunConfig

RESULTS = pathlib.Path(__file__).parent / "results" / "cold_start.md"
HEADER = """# Cold start

Written by `{command}`; {cores} CPU cores.

A tenth of the entries of a side, chosen by a hash of the id, has no row before the test split (the newest tenth of the
log); rows before it are training and validation, eight to one at random. AUC on the hidden entries' test rows, of the
exported models: with the **shared** out-of-vocabulary row that they get without more ado, with the **mean** of the rows
of entries seen at least {min_count} times, and with rows made from their **texts** by `TextToEmbedding` (language model
{language_model}, frozen). Nothing else in the models differs. "Explained" is the share of the variance of warm entries'
rows that their texts explain, left-one-out on training data, by feature. A few hundred rows tell differences of a few
hundredths at best: read the number of rows first.
"""
COLUMNS = (
    "dataset", "hidden", "seed", "entries", "test rows (clicks)", "model", "shared row", "mean row", "text row",
    "text - better of the others", "explained")
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


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--movielens", metavar="DIR", help="folder that holds ml-100k and ml-1m")
    parser.add_argument("--datasets", nargs="+", choices=list(KEYS), default=list(KEYS))
    parser.add_argument("--hide", nargs="+", choices=("item", "user"), default=["item", "user"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for `ctrl run`")
    parser.add_argument("--smoke", action="store_true", help="2,000 rows of the sample, untrained language model")
    parser.add_argument("--output", type=pathlib.Path, default=RESULTS)
    options = parser.parse_args()
    if options.smoke:
        options.datasets, options.hide = ["sample"], ["item"]
        options.set += ["language_model=tiny-random", "training.batch_size=128", "alignment.batch_size=128"]
    if not options.movielens and set(options.datasets) & set(_FOLDERS):
        parser.error("MovieLens needs --movielens DIR")
    console.set_environment()
    from models.text_to_embedding import TextToEmbedding

    rows = [
        row for name in options.datasets for side in options.hide for seed in options.seeds
        for row in _run(name, side, seed, options)]
    # Anybody's paths are their own.
    paths = {options.movielens: "DIR", str(options.output): "FILE"}
    arguments = [paths.get(a, a) for a in sys.argv[1:]]
    text = HEADER.format(
        command=" ".join(["python -m benchmarks.cold_start", *arguments]), cores=os.cpu_count(),
        min_count=TextToEmbedding().min_count,
        language_model=RunConfig.load("sample", None, options.set).language_model)
    text += "\n".join(["", f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", *rows, ""])
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    print(text)


def _run(name: str, side: str, seed: int, options) -> list[str]:
    """The table's rows of one training."""
    from benchmarks.hidden_log import write_hidden_log

    keys = KEYS[name][side]
    # What the stage of the pipeline does by itself is measured here from without.
    settings = [*options.set, f"seed={seed}", "data.max_unknown_share=1", "cold_start.enabled=false"]
    data_dir = str(pathlib.Path(options.movielens, _FOLDERS[name])) if name in _FOLDERS else None
    with tempfile.TemporaryDirectory() as root:
        folder = pathlib.Path(root)
        with console.quiet(folder / "log"):
            spec = datasets.materialise(datasets.load(name), folder)
            spec = write_hidden_log(
                spec, folder, keys[0], SHARE, rows=_SMOKE_ROWS if options.smoke else None, data_dir=data_dir)
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from pipeline.cli import main; sys.exit(main())", "run",
             "--dataset", str(folder / "spec.yaml"), "--root", root, *(["--smoke"] if options.smoke else []),
             *(a for s in settings for a in ("--set", s))],
            stdout=sys.stderr)
        # A model that the gate refuses is measured as well.
        if done.returncode not in (0, _REFUSED):
            sys.exit(f"ctrl run failed with status {done.returncode}")
        config = RunConfig.load(name, None, settings, options.smoke)
        artifacts = folder / (f"{name}-smoke" if options.smoke else name) / "artifacts"
        with console.quiet(folder / "log"):
            return [f"| {name} | {side}s | {seed} | {row}" for row in _measure(spec, config, artifacts, side, keys)]


def _measure(spec, config, artifacts: pathlib.Path, side: str, keys: tuple[str, ...]):
    """The rest of the table's rows: what each model makes of the hidden entries."""
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

    tft_output = tft.TFTransformOutput(_only(artifacts, "Transform/transform_graph/*"))
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

    for model_name, trainer in _MODELS.items():
        model = CTRModel(
            fields(spec, tft_output), backbone=config.backbone, embedding_dim=config.embedding_dim,
            backbone_options=config.backbone_options, history_pooling=config.history_pooling)
        restore_weights(model, _only(artifacts, f"{trainer}/model/*/Format-Serving"))
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
        aucs = []
        for catalogue in (None, mean, made):
            with tempfile.TemporaryDirectory() as folder:
                export_ctr_model(model, tft_output, spec, folder, catalogue)
                aucs.append(roc_auc_score(labels, _scores(folder, test)))
        shares = ", ".join(f"{key} {share:.2f}" for key, share in explained.items())
        yield (f"{len(hidden)} | {len(rows):,} ({labels.sum():,}) | {model_name} | {aucs[0]:.4f} | {aucs[1]:.4f} | "
               f"{aucs[2]:.4f} | {aucs[2] - max(aucs[:2]):+.4f} | {shares} |")


def _value(values: dict, key: str) -> str:
    return values[key][0].decode() if values.get(key) else ""


def _vectors(artifacts: pathlib.Path, side: str):
    """A function from texts of a side to their vectors, as the run encoded them."""
    import numpy as np
    import tensorflow as tf

    from components.textualiser.executor import fingerprint
    from models.text_table import TextTable

    table = TextTable.load(_only(artifacts, "TextEncoder/text_vectors/*"))[side]
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


def _only(artifacts: pathlib.Path, pattern: str) -> str:
    (path,) = artifacts.glob(pattern)
    return str(path)


if __name__ == "__main__":
    main()
