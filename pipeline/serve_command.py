"""The sub-command `serve` of `ctrl`."""

from __future__ import annotations

import dataclasses
import shutil

from models.spec.errors import UserError
from pipeline.command_arguments import add_root, add_served, find_served, positive

_SERVERS = ("auto", "stock", "docker", "embedded")
_ALL_ADDRESSES = "0.0.0.0"
# Arguments that stand for what TensorFlow Serving lacks, or decides in files of its own.
_EMBEDDED_ONLY = ("running", "waiting", "batch_rows", "batch_wait_ms", "max_request_mb")


def add(commands) -> None:
    """Adds the sub-command to those of a parser, as `argparse`'s `add_subparsers` returns them."""
    serve = commands.add_parser("serve", help="serve the pushed model over gRPC and REST")
    add_root(serve)
    add_served(serve)
    serve.add_argument("--model-config", metavar="FILE",
                       help="the models of a models.config of TF Serving's, in place of the one below the root")
    serve.add_argument("--versions", default="latest", metavar="latest[:N]|all|V,...",
                       help="versions that are served (default latest)")
    serve.add_argument("--label", dest="labels", action="append", default=[], metavar="NAME=VERSION",
                       help="a name for a version, as stable or canary; may be repeated")
    serve.add_argument("--server", choices=_SERVERS, default="auto",
                       help="the program tensorflow_model_server, its Docker image, or the embedded one (default: the "
                            "program where it is on the PATH and can do what the other options ask for, else embedded)")
    serve.add_argument("--host", help="address to listen on (default 127.0.0.1, but the program "
                                      f"tensorflow_model_server always listens on all, {_ALL_ADDRESSES})")
    serve.add_argument("--port", type=int, default=8500, help="gRPC port; 0 takes a free one (default 8500)")
    serve.add_argument("--rest-port", type=int, metavar="PORT",
                       help="port of the REST API and the metrics, usually 8501; 0 takes a free one (default: none)")
    serve.add_argument("--port-file", metavar="FILE", help="write the gRPC port here once ready")
    serve.add_argument("--intra-op-threads", type=int, default=1, metavar="N",
                       help="threads that share an operation of the graph, in the whole process (default 1; 0: all "
                            "cores)")
    embedded = serve.add_argument_group("of the embedded server only")
    embedded.add_argument("--running", type=positive, metavar="N",
                          help="requests worked on at once (default: eight for each CPU core)")
    embedded.add_argument("--waiting", type=int, metavar="N",
                          help="requests that wait besides; others are refused at once (default 64)")
    embedded.add_argument("--batch-rows", type=int, metavar="N",
                          help="requests that come at the same time share a run of up to N rows (default 256; 0: none "
                               "do)")
    embedded.add_argument("--batch-wait-ms", type=float, metavar="MS",
                          help="how long the first of them waits for others (default 0)")
    embedded.add_argument("--max-request-mb", type=positive, metavar="N", help="largest request, MiB (default 16)")
    tls = serve.add_argument_group("TLS, of both ports; TensorFlow Serving has it for gRPC only")
    tls.add_argument("--tls-cert", metavar="FILE", help="the server's certificate, PEM")
    tls.add_argument("--tls-key", metavar="FILE", help="its private key, PEM")
    tls.add_argument("--tls-client-ca", metavar="FILE", help="authorities whose clients are let in (mutual TLS), PEM")
    serve.set_defaults(handler=_serve)


def _serve(options) -> None:
    from pipeline import console

    if bool(options.tls_cert) != bool(options.tls_key) or options.tls_client_ca and not options.tls_cert:
        raise UserError("--tls-cert and --tls-key belong together, and --tls-client-ca needs them")
    labels = {}
    for pair in options.labels:
        name, _, version = pair.partition("=")
        if not name or not version.isdecimal():
            raise UserError(f"--label {pair}: must be NAME=VERSION, as stable=1718000000")
        labels[name] = int(version)
    if options.model_config and (options.labels or options.versions != "latest"):
        raise UserError("--versions and --label say what --model-config FILE says already; leave them out")
    served = None if options.model_config else find_served(options)
    console.set_environment()
    from serving.model_config import ModelConfig, read_models
    from serving.version_policy import VersionPolicy

    server = _server(options)
    if served is None:
        models = read_models(options.model_config)
    else:
        models = [ModelConfig(served.name, str(served), VersionPolicy.parse(options.versions), labels)]
    listening = _listening(options)
    if server == "embedded":
        from serving.serve import serve

        serve(models, listening, port_file=options.port_file)
    else:
        from pipeline.config import SERVING_IMAGE
        from serving.stock_server import serve_stock

        serve_stock(models, listening, image=SERVING_IMAGE if server == "docker" else None,
                    port_file=options.port_file)


def _server(options) -> str:
    """Which server is started: `stock`, `docker` or `embedded`."""
    if options.server == "embedded":
        return options.server
    lacks = _what_stock_lacks(options)
    if options.server == "auto":
        from serving.stock_server import PROGRAM

        return "stock" if not lacks and shutil.which(PROGRAM) else "embedded"
    if lacks:
        raise UserError(f"--server {options.server}: TensorFlow Serving cannot do what is asked for: "
                        f"{'; '.join(lacks)}. `--server embedded` can")
    return options.server


def _what_stock_lacks(options) -> list[str]:
    """Options given that TensorFlow Serving would have to drop, and why."""
    lacks = []
    if given := [f"--{name.replace('_', '-')}" for name in _EMBEDDED_ONLY if getattr(options, name) is not None]:
        lacks.append(f"it has no {', '.join(given)}")
    # Docker listens for it.
    if options.server != "docker" and options.host not in (None, _ALL_ADDRESSES):
        lacks.append(f"--host {options.host}: it listens on all addresses of this machine (--host {_ALL_ADDRESSES})")
    if options.tls_cert and options.rest_port is not None:
        lacks.append("--tls-cert with --rest-port: its REST API has no TLS; gRPC alone can have it")
    return lacks


def _listening(options):
    """The `ServerOptions` with what was given."""
    from serving.server_options import ServerOptions
    from serving.server_tls import ServerTls

    batching = {"max_rows": options.batch_rows,
                "wait_seconds": None if options.batch_wait_ms is None else options.batch_wait_ms / 1000}
    given = {
        "host": options.host, "port": options.port, "rest_port": options.rest_port, "running": options.running,
        "waiting": options.waiting, "batching": dataclasses.replace(ServerOptions.batching, **_given(batching)),
        "intra_op_threads": options.intra_op_threads,
        "max_message_bytes": None if options.max_request_mb is None else options.max_request_mb << 20,
        "tls": ServerTls(options.tls_cert, options.tls_key, options.tls_client_ca) if options.tls_cert else None}
    return ServerOptions(**_given(given))


def _given(arguments: dict) -> dict:
    return {name: value for name, value in arguments.items() if value is not None}
