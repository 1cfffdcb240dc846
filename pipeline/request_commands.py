"""The sub-commands of `ctrl` that ask a server: `predict` and `rank`."""

from __future__ import annotations

import argparse

from models.spec.errors import UserError
from pipeline.command_arguments import add_root, is_known, positive, seconds

_MODEL = "ctr"


def add(commands) -> None:
    """Adds the sub-commands to those of a parser, as `argparse`'s `add_subparsers` returns them."""
    predict = commands.add_parser("predict", help="ask a server for the probabilities of rows")
    predict.add_argument("--input", required=True, metavar="FILE", help="rows: .csv with a header, or .jsonl")
    _add_server(predict)
    predict.set_defaults(handler=_predict)

    rank = commands.add_parser("rank", help="ask a server for the best items for a user")
    rank.add_argument("--user", nargs="+", action="extend", default=[], metavar="COLUMN=VALUE",
                      help="the user and the context; a column that is left out is missing; may be repeated")
    rank.add_argument("--items", required=True, metavar="FILE", help="items: .csv with a header, or .jsonl")
    rank.add_argument("--k", type=positive, metavar="N", help="how many are shown (default: all)")
    _add_server(rank)
    rank.set_defaults(handler=_rank)


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--target", required=True, metavar="HOST:PORT")
    add_root(parser)
    parser.add_argument("--dataset", metavar="NAME|SPEC.yaml",
                        help="whose columns the rows have (default: those of the model pushed below the root)")
    parser.add_argument("--model", metavar="NAME",
                        help=f"name of the served model (default: of the one below the root, else {_MODEL})")
    version = parser.add_mutually_exclusive_group()
    version.add_argument("--version", type=int, metavar="N", help="the model's version (default: the server chooses)")
    version.add_argument("--label", metavar="NAME", help="what the server calls the version, as stable or canary")
    parser.add_argument("--timeout", type=seconds, default=10.0, metavar="SECONDS",
                        help="that a call may take, retries included (default 10)")
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table")
    tls = parser.add_argument_group("TLS, which any of these turns on")
    tls.add_argument("--tls", action="store_true", help="the server's certificate is signed by a public authority")
    tls.add_argument("--ca", metavar="FILE", help="certificate of the authority that signed the server's, PEM")
    tls.add_argument("--cert", metavar="FILE", help="the client's own certificate, for mutual TLS, PEM")
    tls.add_argument("--key", metavar="FILE", help="its private key, PEM")
    tls.add_argument("--server-name", metavar="NAME",
                     help="name that the server's certificate is for (default: the target's host)")


def _predict(options) -> None:
    spec, model = _of_rows(options)
    with _client(options, model) as client:
        from serving.file_requests import predict_file
        from serving.render import render

        print(render(predict_file(client, options.input, spec), options.format))


def _rank(options) -> None:
    user = {}
    for pair in options.user:
        column, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"--user {pair}: must be COLUMN=VALUE, as user_id=7")
        if user.get(column, value) != value:
            raise UserError(f"--user {pair}: the column has the value {user[column]} already; give one of the two")
        user[column] = value
    spec, model = _of_rows(options)
    with _client(options, model) as client:
        from serving.file_requests import rank_file
        from serving.render import render

        print(render(rank_file(client, user, options.items, spec, options.k), options.format))


def _client(options, model: str):
    from pipeline import console

    console.set_environment()
    from serving.client import PredictClient
    from serving.client_tls import ClientTls

    files = (options.ca, options.cert, options.key, options.server_name)
    tls = ClientTls(*files) if options.tls or any(file is not None for file in files) else None
    return PredictClient(options.target, model, timeout=options.timeout, version=options.version,
                         version_label=options.label, tls=tls)


def _of_rows(options):
    """The specification whose columns the rows have, and the served model's name."""
    from pipeline import datasets
    from pipeline.layout import find_serving, served_spec

    if options.dataset and is_known(options.dataset):
        return datasets.load(options.dataset), options.model or _MODEL
    try:
        served = find_serving(options.root, options.dataset, options.model)
        return served_spec(served), served.name
    except UserError as error:
        raise UserError(f"{error}\nOr say with --dataset NAME|SPEC.yaml which columns the rows have.") from error
