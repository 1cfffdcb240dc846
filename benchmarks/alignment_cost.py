"""What alignment costs: every row's sentence encoded in every step, against each distinct text once.

    python -m benchmarks.alignment_cost --dataset movielens-1m --data-dir DIR/ml-1m --root ROOT --seeds 1 2 3

Both ways have the same frozen language model and the same ID model. The naive one is far too
slow to run on a whole log: it aligns `--rows` rows. Ours is timed on the whole training split. For
the quality, ours aligns the same rows, and both models are then trained on the clicks of the same
rows. Results are kept in a JSONL file beside the table: the same command goes on after a kill.
"""

from __future__ import annotations

import argparse
import datetime
import logging
import pathlib
import sys

from benchmarks.gain import shown_command
from models.spec.errors import UserError
from pipeline import console, datasets
from pipeline.config import RunConfig
from pipeline.layout import RunLayout

RESULTS = pathlib.Path(__file__).parent / "results"
_log = logging.getLogger(f"{console.LOGGER}.alignment_cost")
_CLICK_BATCH = 512
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="sample", metavar="NAME|SPEC.yaml")
    parser.add_argument("--data-dir", metavar="DIR", help="folder of the log's files")
    parser.add_argument("--config", metavar="FILE", help="run configuration, YAML")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE",
                        help="one key of the configuration; may be repeated")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="default 1 2 3")
    parser.add_argument("--rows", type=int, default=20_480, help="rows that are aligned both ways (default 20480)")
    parser.add_argument("--epochs", type=int, default=5, help="spread the encoding over so many, too (default 5)")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path("ctrl_root"), help="as of `ctrl run`")
    parser.add_argument("--output", type=pathlib.Path,
                        help="the table (default: benchmarks/results/alignment_cost_<dataset>.md)")
    parser.add_argument("--smoke", action="store_true",
                        help="1,024 rows and an untrained language model, to see that it runs")
    options = parser.parse_args()
    try:
        _benchmark(options)
    except UserError as error:
        print(f"alignment_cost: {error}", file=sys.stderr)
        return 2
    return 0


def _benchmark(options: argparse.Namespace) -> None:
    spec = datasets.load(options.dataset)
    settings = [*(_SMOKE if options.smoke else []), *options.settings]
    config = RunConfig.load(spec.name, options.config, settings, options.smoke)
    rows = _SMOKE_ROWS if options.smoke else options.rows
    if config.text_mode != "frozen" or config.adaptation.epochs:
        raise UserError("the language model must be as it was loaded, and frozen: set text_mode to frozen and "
                        "adaptation.epochs to 0")
    if rows < 2 * config.alignment.batch_size:
        raise UserError(f"--rows {rows}: must be two batches of alignment at least, 2 times "
                        f"{config.alignment.batch_size} (alignment.batch_size); the first step is not timed")
    if options.epochs < 1:
        raise UserError(f"--epochs {options.epochs}: must be 1 or more")
    name = spec.name + ("-smoke" if options.smoke else "")
    output = options.output or RESULTS / f"alignment_cost_{name}.md"
    layout = RunLayout.below(options.root, name)
    layout.check_writable()
    console.set_environment()
    log = layout.logs / f"alignment_cost-{datetime.datetime.now():%Y%m%d-%H%M%S}.log"
    kept = "interrupted; every result so far is kept: the same command goes on from there"
    with console.quiet(log), console.leave_on_interrupt(kept):
        # TFX takes 20 to 40 seconds to import, so wrong arguments have been refused before.
        from benchmarks.alignment_cost_runner import AlignmentCost
        from benchmarks.prepared_data import PreparedData
        from benchmarks.report import facts, machine

        data = PreparedData(spec, config, layout, options.data_dir)
        click_batch = min(_CLICK_BATCH, config.training.batch_size)
        cost = AlignmentCost(data, config, click_batch, rows, output, layout.root / "alignment_cost")
        epochs = config.alignment.epochs
        cost.measure(options.seeds, options.epochs, _HEADING.format(
            dataset=spec.name, command=shown_command(sys.argv[1:], "benchmarks.alignment_cost"), machine=machine(),
            facts=facts(data, config, options.seeds, options.smoke), sample=f"{cost.sample.count:,}",
            tokens=cost.sample.tokens, train=f"{data.rows['train']:,}", epochs=options.epochs,
            batch=f"{config.alignment.batch_size:,}", click_batch=click_batch,
            alignment_epochs=f"{epochs} epoch{'s' * (epochs > 1)}"))
        _log.info("table %s", output)


if __name__ == "__main__":
    sys.exit(main())
