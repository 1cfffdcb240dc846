"""The sub-command `ui` of `ctrl`."""

from __future__ import annotations

from pipeline.command_arguments import add_metadata, add_root
from pipeline.runs_command import open_stores


def add(commands) -> None:
    """Adds the sub-command to those of a parser, as `argparse`'s `add_subparsers` returns them."""
    ui = commands.add_parser("ui", help="show all runs and their reports in a browser, live")
    add_root(ui)
    add_metadata(ui)
    ui.add_argument("--dataset", metavar="NAME|SPEC.yaml", help="only runs of this dataset")
    ui.add_argument("--port", type=int, default=8080, help="port on 127.0.0.1; 0 takes a free one (default 8080)")
    ui.set_defaults(handler=_ui)


def _ui(options) -> None:
    import asyncio

    from pipeline.report.server import RunServer, serve
    from serving.foreground import print_at_once

    open_stores(options)
    server = RunServer(lambda: open_stores(options), options.root.resolve())
    asyncio.run(serve(server, options.port, print_at_once))
