"""What alignment costs: every row's sentence encoded in every step, against each distinct text once.

    python -m benchmarks.alignment_cost --dataset movielens-1m --data-dir DIR/ml-1m --root ROOT --seeds 1 2 3

Both ways have the same frozen language model and the same ID model. The naive one is far too
slow to run on a whole log: it aligns `--rows` rows. Ours is timed on the whole training split. For
the quality, ours aligns the same rows, and both models are then trained on the clicks of the same
rows. Results are kept in a JSONL file beside the table: the same command goes on after a kill.
"""

from __future__ import annotations

import argparse
import logging
import sys

from benchmarks.command import dataset_parser, quiet_run, run, shown_command
from models.spec.errors import UserError
from pipeline import console, datasets
from pipeline.config import RunConfig

_log = logging.getLogger(f"{console.LOGGER}.alignment_cost")
_CLICK_BATCH, _ALIGNMENT_BATCH = 512, 1024
_SMOKE_ROWS = 1024
_SMOKE = ["language_model=tiny-random", "training.batch_size=512", "alignment.batch_size=256"]
_HEADING = """# Cost of alignment: {dataset}

Written by `{command}`; {machine}.

{facts}

**Rates**: training steps without the first, which builds the graph, all in one process. The naive way reads the
sentences of {sample} rows, padded to {tokens} tokens, the longest of them; the mean over the seeds. Ours reads the
whole training split of {train} rows; its texts are encoded before, and that time is spread over the rows of one epoch,
and of {epochs}. Alignment has batches of {batch} rows both ways.

**Quality**: the same {sample} rows are aligned either way ({alignment_epochs}) and then trained on for clicks, with
batches of {click_batch}, stopping on the validation AUC; AUC of the whole validation split, mean ± standard deviation
over seeds; *p* of a two-sided paired t-test. The naive way sees a row's whole sentence, ours the texts of its sides and
of its history's items. "Not at all" is the plain backbone on the same rows: what there is to gain."""


def main() -> int:
    """Entry point. Returns the exit status: 0, or 2 for a user's error."""
    parser = dataset_parser(
        __doc__.splitlines()[0], "alignment_cost", "1,024 rows and an untrained language model")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="default 1 2 3")
    parser.add_argument("--rows", type=int, default=20_480, help="rows that are aligned both ways (default 20480)")
    parser.add_argument("--epochs", type=int, default=5, help="spread the encoding over so many, too (default 5)")
    return run("alignment_cost", _benchmark, parser.parse_args())


def _benchmark(options: argparse.Namespace) -> None:
    spec = datasets.load(options.dataset)
    settings = [*(_SMOKE if options.smoke else []), *options.settings]
    config = _with_batches(RunConfig.load(spec.name, options.config, settings, options.smoke))
    rows = _SMOKE_ROWS if options.smoke else options.rows
    if config.text_mode != "frozen" or config.adaptation.epochs:
        raise UserError("the language model must be as it was loaded, and frozen: set text_mode to frozen and "
                        "adaptation.epochs to 0")
    if rows < 2 * config.alignment.batch_size:
        raise UserError(f"--rows {rows}: must be two batches of alignment at least, 2 times "
                        f"{config.alignment.batch_size} (alignment.batch_size); the first step is not timed")
    if options.epochs < 1:
        raise UserError(f"--epochs {options.epochs}: must be 1 or more")
    with quiet_run("alignment_cost", options, spec.name) as (layout, output):
        # TFX takes 20 to 40 seconds to import, so wrong arguments have been refused before.
        from benchmarks.alignment_cost_runner import AlignmentCost
        from benchmarks.prepared_data import PreparedData
        from benchmarks.report import facts, machine

        data = PreparedData(spec, config, layout, options.data_dir)
        click_batch = min(_CLICK_BATCH, config.training.batch_size)
        cost = AlignmentCost(data, config, click_batch, rows, output, layout.root / "alignment_cost")
        epochs = config.alignment.epochs
        cost.measure(options.seeds, options.epochs, _HEADING.format(
            dataset=spec.name, command=shown_command("benchmarks.alignment_cost", sys.argv[1:]), machine=machine(),
            facts=facts(data, config, options.seeds, options.smoke), sample=f"{cost.sample.count:,}",
            tokens=cost.sample.tokens, train=f"{data.rows['train']:,}", epochs=options.epochs,
            batch=f"{config.alignment.batch_size:,}", click_batch=click_batch,
            alignment_epochs=f"{epochs} epoch{'s' * (epochs > 1)}"))
        _log.info("table %s", output)


def _with_batches(config: RunConfig) -> RunConfig:
    """Batches of one size, where none is configured: what a step takes must not go by how many rows are timed."""
    return config.model_copy(update={
        name: part.model_copy(update={"batch_size": part.batch_size or size})
        for name, part, size in (("training", config.training, _CLICK_BATCH),
                                 ("alignment", config.alignment, _ALIGNMENT_BATCH))})


if __name__ == "__main__":
    sys.exit(main())
