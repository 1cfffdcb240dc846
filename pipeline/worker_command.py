"""The sub-command `worker` of `ctrl`."""

from __future__ import annotations

from models.spec.errors import UserError
from pipeline.command_arguments import add_root


def add(commands) -> None:
    """Adds the sub-command to those of a parser, as `argparse`'s `add_subparsers` returns them."""
    worker = commands.add_parser("worker", help="take part in the training of a run on another machine")
    add_root(worker)
    worker.add_argument("--dataset", required=True, metavar="NAME", help="the name of the run's dataset")
    worker.set_defaults(handler=_worker)


def _worker(options) -> None:
    from pipeline import console

    console.set_environment()
    from components.trainer import workers
    from models import distribution
    from pipeline.layout import RunLayout

    if distribution.num_workers() == 1:
        raise UserError("TF_CONFIG names no other machine to train with; see docs/training.md")
    if distribution.is_first_machine():
        raise UserError("TF_CONFIG says that this is the first of its machines: here the pipeline runs, by ctrl run")
    layout = RunLayout.below(options.root, options.dataset)
    layout.check_writable()
    with console.quiet(layout.logs / "worker.log") as logger:
        logger.info("waiting for trainings below %s", layout.root)
        workers.follow(str(layout.checkpoints), logger.info)
