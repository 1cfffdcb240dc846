"""What each part of the method is worth: the paper's ablations, and more.

    python -m benchmarks.ablations --dataset movielens-1m --data-dir DIR/ml-1m --root ROOT --seeds 1 2 3

Each row changes one thing and trains the aligned model anew: alignment, then clicks without
a teacher. It is compared with the reference, the configuration itself, seed by seed, on the test
split. Nothing is chosen on it. The pipeline's components are run up to the first trainer, or
reused when `ctrl run` or an earlier call made them under the same root; what reads other
texts gets text vectors of its own on the same examples. Every result is kept in a JSONL file
beside the table as it comes: the same command goes on after a kill, and `--only` adds to it.
"""

from __future__ import annotations

import argparse
import logging
import sys

from benchmarks.ablation_list import REFERENCE, Ablation, ablations, one_of_each
from benchmarks.command import dataset_parser, quiet_run, run, shown_command
from models.spec.errors import UserError
from pipeline import console, datasets
from pipeline.config import RunConfig

_log = logging.getLogger(f"{console.LOGGER}.ablations")
_HEADING = """# Ablations: {dataset}

Written by `{command}`; {machine}.

{facts}

Every row but the plain backbone and "end to end" is the aligned model, trained on clicks without a teacher. Mean ±
standard deviation over seeds, on the test split, by scikit-learn; *difference* to the reference of the same seed, mean
± standard deviation; *p* of a two-sided paired t-test (not corrected for the number of tests). Training stops on the
validation AUC; nothing is chosen on the test split, and nothing else is tuned anew for a changed row: a larger batch
takes fewer steps of the same epochs, more sub-spaces widen the similarity's range under the same temperature, and "end
to end" takes its negatives from the batch of the clicks. Text forms: `prose`, `dash`, `values`, `masked_names` and
`key_value` are the five prompts that the paper compares (arXiv 2306.02841, sec. 5.6.2), `field_value` is
ClickPrompt's."""


def main() -> int:
    """Entry point. Returns the exit status: 0, or 2 for a user's error."""
    parser = dataset_parser(__doc__.splitlines()[0], "ablations", "one epoch, one row of each kind")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="default 1 2 3")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="some kinds of ablations, and the reference")
    return run("ablations", _benchmark, parser.parse_args())


def _benchmark(options: argparse.Namespace) -> None:
    spec = datasets.load(options.dataset)
    config = RunConfig.load(spec.name, options.config, options.settings, options.smoke)
    wanted = ablations(config)
    groups = chosen(options.only, wanted)
    if options.smoke:
        wanted = one_of_each(wanted)
    with quiet_run("ablations", options, spec.name) as (layout, output):
        # TFX takes 20 to 40 seconds to import, so wrong arguments have been refused before.
        from benchmarks.ablation_runner import AblationRunner
        from benchmarks.prepared_data import PreparedData
        from benchmarks.report import facts, machine

        data = PreparedData(spec, config, layout, options.data_dir)
        heading = _HEADING.format(
            dataset=spec.name, command=shown_command("benchmarks.ablations", sys.argv[1:]), machine=machine(),
            facts=facts(data, config, options.seeds, options.smoke))
        AblationRunner(data, config, wanted, output, layout.root / "ablations", heading).measure(options.seeds, groups)
        _log.info("table %s", output)


def chosen(only: list[str] | None, wanted: list[Ablation]) -> set[str]:
    """The groups that `--only` names, all without it.

    Raises:
        UserError: there is no such group.
    """
    groups = {a.group: None for a in wanted}
    for name in only or ():
        if name not in groups:
            raise UserError(f"--only {name}: there is no such ablation; there are: "
                            f"{', '.join(g for g in groups if g != REFERENCE)}")
    return set(only or groups)


if __name__ == "__main__":
    sys.exit(main())
