"""What alignment and distillation add to a backbone, over several seeds.

    python -m benchmarks.gain --dataset movielens-1m --data-dir DIR/ml-1m --root ROOT \\
        --backbones autoint dcnv2 deepfm wide_deep --seeds 1 2 3 4 5 --tune 8

The pipeline's components are run up to the first trainer, or reused when `ctrl run` or an
earlier call made them under the same root. Then, for every backbone and seed, the same
functions as in the pipeline train the plain backbone, the aligned one, and the aligned and
distilled one with its teacher, and each is evaluated on the test split. Nothing is chosen
on the test split. Every result is kept in a JSONL file beside the table as it comes: the
same command goes on after a kill.

`--tune N` first tries N settings (`benchmarks/search.py`), the same for the plain and the
aligned backbone, on the validation split; what is best for each is written to a JSON file
beside the table and used for it, and the student takes what is best for the aligned one.
`--tuned FILE` uses such a file again. `--control` distils the plain backbone as well, from
teachers that are plain backbones: what of the gain is distillation's and not the text's.
`--smoke` shows on the sample, in minutes, that everything runs.
"""

from __future__ import annotations

import argparse
import json
import logging
import pathlib
import sys
from typing import TYPE_CHECKING

from benchmarks.command import dataset_parser, quiet_run, run, seeds_of, shown_command
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from models.spec.split_rule import SplitRule
from pipeline import console, datasets
from pipeline.config import RunConfig

if TYPE_CHECKING:
    from benchmarks.prepared_data import PreparedData

_log = logging.getLogger(f"{console.LOGGER}.gain")
_HEADING = """# Gain of alignment and distillation: {dataset}

Written by `{command}`; {machine}.

{facts}
- **Teacher**: the distilled student's{folds}; it reads the text and is not served.
- **Settings**: {tuning}

Mean ± standard deviation over seeds, on the test split, by scikit-learn; *difference* to the plain backbone of the same
seed, mean over seeds; *p* of a two-sided paired t-test (not corrected for the number of tests; with two seeds it has
one degree of freedom, and means little). Training stops on the validation AUC; nothing is chosen on the test split.
"Plain + distilled", where it was asked for, is the control: teachers that are plain backbones."""
_FOLDS = ", the mean logit of {folds} models that each left a fold of the rows out, an ensemble"


def main() -> int:
    """Entry point. Returns the exit status: 0, or 2 for a user's error."""
    parser = dataset_parser(__doc__.splitlines()[0], "gain", "one epoch of everything, two seeds")
    parser.add_argument("--split", choices=("time", "user_time"),
                        help="one global cut, or a cut per user, in place of the specification's")
    parser.add_argument("--backbones", nargs="+", default=["autoint"], metavar="NAME[:SEEDS]",
                        help="each with the seeds of --seeds, or with its own: dcnv2:1,2")
    parser.add_argument("--seeds", nargs="+", type=int, default=None, help="default 1 to 5; 1 and 2 with --smoke")
    parser.add_argument("--tune", type=int, default=0, metavar="TRIALS",
                        help="settings to try for plain and aligned first")
    parser.add_argument("--tuned", type=pathlib.Path, metavar="FILE", help="settings that an earlier --tune found")
    parser.add_argument("--control", action="store_true",
                        help="distil the plain backbone too, from teachers without text")
    return run("gain", _benchmark, parser.parse_args())


def _benchmark(options: argparse.Namespace) -> None:
    spec = with_split(datasets.load(options.dataset), options.split)
    config = RunConfig.load(spec.name, options.config, options.settings, options.smoke)
    if config.distillation.weight == 0:
        raise UserError("distillation.weight is 0, so that aligned and distilled would be the same; give it more")
    if options.tune < 0:
        raise UserError(f"--tune {options.tune}: must be 1 or more")
    tuned = _tuned(options.tuned) if options.tuned else {}
    seeds = seeds_of(
        "--backbones", options.backbones, options.seeds or ([1, 2] if options.smoke else [1, 2, 3, 4, 5]))
    name = spec.name + (f"-{options.split}" if options.split else "")
    with quiet_run("gain", options, name) as (layout, output):
        # TFX takes 20 to 40 seconds to import, so wrong arguments have been refused before.
        from benchmarks.gain_runner import Gain
        from benchmarks.prepared_data import PreparedData
        from models import backbones

        for backbone in seeds:
            backbones.get(backbone, **config.backbone_options)
        data = PreparedData(spec, config, layout, options.data_dir)
        heading = _heading(options, data, config, seeds)
        gain = Gain(data, config, output, layout.root / "gain", heading)
        if options.tune:
            tuned = gain.tune(list(seeds), options.tune)
            path = output.with_name(f"{output.stem}_tuned.json")
            path.write_text(json.dumps({"trials": options.tune, "settings": tuned}, indent=1) + "\n", encoding="utf-8")
        gain.measure(seeds, tuned, options.control)
        _log.info("table %s", output)


def with_split(spec: DatasetSpec, by: str | None) -> DatasetSpec:
    """The specification with another kind of split by time; None leaves it.

    Raises:
        UserError: it names no column of times.
    """
    if by is None or by == spec.split.by:
        return spec
    derived = [f.derive for f in spec.features if f.derive]
    time = spec.split.time or next((d.time for d in derived), None)
    if time is None:
        raise UserError(f"--split {by}: dataset {spec.name} names no column of times; give its split the key time")
    user = derived[0].user if derived else spec.split.user or spec.side("user")[0].source_column
    split = SplitRule(
        by=by, time=time, user=user if by == "user_time" else None, fractions=spec.split.fractions)
    return spec.model_copy(update={"split": split})


def _tuned(path: pathlib.Path) -> dict[str, dict[str, dict]]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"--tuned {path}: cannot be read as settings that --tune found: {error}") from error


def _heading(options: argparse.Namespace, data: PreparedData, config: RunConfig, seeds: dict[str, list[int]]) -> str:
    from benchmarks.report import facts, machine

    if options.tune:
        tuning = (f"tuned: the same {options.tune} trials for plain and aligned, on the validation split; distilled "
                  "takes those of aligned; see below.")
    else:
        tuning = "tuned, by an earlier search; see below." if options.tuned else "as configured, not tuned."
    return _HEADING.format(
        dataset=data.spec.name, command=shown_command("benchmarks.gain", sys.argv[1:]), machine=machine(),
        facts=facts(data, config, seeds, options.smoke), tuning=tuning,
        folds=_FOLDS.format(folds=config.distillation.folds) if config.distillation.folds > 1 else "")


if __name__ == "__main__":
    sys.exit(main())
