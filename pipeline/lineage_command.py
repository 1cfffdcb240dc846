"""The sub-command `lineage` of `ctrl`."""

from __future__ import annotations

from pipeline.runs_command import add_stores, open_stores


def add(commands) -> None:
    """Adds the sub-command to those of a parser, as `argparse`'s `add_subparsers` returns them."""
    lineage = commands.add_parser(
        "lineage", help="what a model or another artifact was made of, and where it was pushed")
    lineage.add_argument("artifact", metavar="ARTIFACT|VERSION|PATH",
                         help="an artifact's id, a pushed version's number, or the path or URI of a version, an "
                              "artifact or a file of the log")
    add_stores(lineage)
    lineage.set_defaults(handler=_lineage)


def _lineage(options) -> None:
    stores = open_stores(options).stores
    from pipeline.runs import lineage_tree, terminal
    from pipeline.runs.lineage import Lineage
    from pipeline.runs.lineage_target import find_artifact

    store, artifact = find_artifact(stores, options.artifact)
    lineage = Lineage.trace(store, artifact)
    if options.json:
        values = lineage.to_dict()
        for file, source in zip(values["files"], lineage.files):
            file["state"] = lineage_tree.state_of(source)
        terminal.show_json(values)
    else:
        terminal.show(lineage_tree.tree(lineage))
