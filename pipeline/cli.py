"""The `ctrl` command. It imports what a sub-command needs when it runs, so that help is instant."""

from __future__ import annotations

import argparse
import datetime
import os
import pathlib
import sys

from models.spec.errors import UserError

_ROOT = "ctrl_root"


def main(arguments: list[str] | None = None) -> int:
    """Entry point. Returns the exit status: 0, 1 for a failure, 2 for a user's error."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return options.handler(options) or 0
    except UserError as error:
        print(f"ctrl {options.command}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader, `head` for one, has seen enough. Python would complain again when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ctrl", description="CTR prediction aligned with a language model, served as a pure-ID model.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run the pipeline on this machine")
    _dataset(run)
    _root(run)
    run.add_argument("--config", metavar="FILE", help="run configuration, YAML")
    run.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE",
                     help="one key of the configuration, as alignment.epochs=2; may be repeated")
    run.add_argument("--smoke", action="store_true", help="one short epoch of everything, to see that it runs")
    run.set_defaults(handler=_run)

    listing = commands.add_parser("datasets", help="list the built-in datasets")
    listing.set_defaults(handler=_datasets)

    init = commands.add_parser("init", help="write a first dataset specification for a log")
    init.add_argument("log", help="a CSV or Parquet file")
    init.add_argument("-o", "--output", required=True, metavar="FILE", help="the specification to write")
    init.add_argument("--force", action="store_true", help="overwrite it")
    init.set_defaults(handler=_init)

    preview = commands.add_parser("preview", help="show what a specification makes of a log, without a run")
    _dataset(preview)
    _root(preview)
    preview.add_argument("--rows", type=int, default=5, help="rows shown (default 5)")
    preview.add_argument("--limit", type=int, default=200_000, help="rows read at most (default 200000)")
    preview.set_defaults(handler=_preview)

    serve = commands.add_parser("serve", help="serve the pushed model over gRPC")
    _root(serve)
    serve.add_argument("--dataset", help="whose model, when the root holds several")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=int, default=8500, help="port; 0 takes a free one (default 8500)")
    serve.add_argument("--port-file", metavar="FILE", help="write the port here once ready")
    serve.set_defaults(handler=_serve)

    predict = commands.add_parser("predict", help="ask a server for the probabilities of rows")
    predict.add_argument("--target", required=True, metavar="HOST:PORT")
    predict.add_argument("--input", required=True, metavar="FILE", help="rows: .csv with a header, or .jsonl")
    predict.add_argument("--dataset", required=True, metavar="NAME|SPEC.yaml", help="whose columns the rows have")
    predict.add_argument("--model", default="ctr", help="name of the served model (default ctr)")
    predict.add_argument("--format", choices=("table", "json", "csv"), default="table")
    predict.set_defaults(handler=_predict)
    return parser


def _dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", required=True, metavar="NAME|SPEC.yaml",
                        help="a built-in name (see `ctrl datasets`) or a dataset specification")
    parser.add_argument("--data-dir", metavar="DIR", help="folder that holds the log's files")


def _root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", default=_ROOT, metavar="DIR", type=pathlib.Path,
                        help=f"folder of everything that runs write (default {_ROOT})")


def _layout(options, spec):
    from pipeline.layout import RunLayout

    return RunLayout(options.root.resolve() / spec.name)


def _run(options) -> int:
    from pipeline import console, datasets, run
    from pipeline.config import RunConfig

    spec = datasets.load(options.dataset)
    config = RunConfig.load(spec.name, options.config, options.settings, options.smoke)
    layout = _layout(options, spec)
    console.set_environment()
    log = layout.logs / f"{datetime.datetime.now():%Y%m%d-%H%M%S}.log"
    with console.quiet(log) as logger:
        try:
            run.run(spec, config, layout, options.data_dir)
        except UserError:
            raise
        except Exception as error:
            logger.error("failed: %s: %s", type(error).__name__, str(error).strip().split("\n")[-1][:500])
            console.keep_traceback(error)
            logger.info("everything that was finished is kept: the same command goes on from there")
            logger.info("details: %s", log)
            return 1
    return 0


def _datasets(options) -> None:
    from pipeline import datasets

    for name in datasets.names():
        spec = datasets.load(name)
        print(f"{name:<18}{spec.description}")


def _init(options) -> None:
    from pipeline.infer_spec import write_spec

    print(write_spec(options.log, options.output, force=options.force))


def _preview(options) -> None:
    from pipeline import console, datasets, preview

    spec = datasets.load(options.dataset)
    layout = _layout(options, spec)
    console.set_environment()
    spec = datasets.materialise(spec, layout.data)
    print(preview.render(preview.preview(
        spec, options.data_dir, rows=options.rows, limit=options.limit, cache_dir=str(layout.data))))


def _serve(options) -> None:
    from pipeline import console
    from pipeline.layout import find_serving

    served = find_serving(options.root, options.dataset)
    console.set_environment()
    from serving.server import serve

    serve(str(served), served.name, host=options.host, port=options.port, port_file=options.port_file)


def _predict(options) -> None:
    from pipeline import console, datasets

    spec = datasets.load(options.dataset)
    console.set_environment()
    from serving.client import predict_file, render

    print(render(predict_file(options.target, options.input, spec, options.model), options.format))
