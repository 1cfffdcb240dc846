"""The sub-command `serve` of `ctrl`."""

from __future__ import annotations

import shutil

from models.spec.errors import UserError
from pipeline.command_arguments import add_root, add_served, find_served, positive

_SERVERS = ("auto", "stock", "docker", "embedded")


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
                       help="the program tensorflow_model_server, its Docker image, or the embedded one "
                            "(default: the program where it is on the PATH, else embedded)")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=int, default=8500, help="gRPC port; 0 takes a free one (default 8500)")
    serve.add_argument("--rest-port", type=int, metavar="PORT",
                       help="port of the REST API and the metrics, usually 8501; 0 takes a free one (default: none)")
    serve.add_argument("--port-file", metavar="FILE", help="write the gRPC port here once ready")
    serve.add_argument("--running", type=positive, metavar="N",
                       help="requests worked on at once (default: eight for each CPU core)")
    serve.add_argument("--waiting", type=int, default=64, metavar="N",
                       help="requests that wait besides; others are refused at once (default 64)")
    serve.add_argument("--batch-rows", type=int, default=256, metavar="N",
                       help="requests that come at the same time share a run of up to N rows (default 256; 0: none do)")
    serve.add_argument("--batch-wait-ms", type=float, default=0.0, metavar="MS",
                       help="how long the first of them waits for others (default 0)")
    serve.add_argument("--intra-op-threads", type=int, default=1, metavar="N",
                       help="threads that share an operation of the graph, in the whole process (default 1; 0: all "
                            "cores)")
    serve.add_argument("--max-request-mb", type=positive, default=16, metavar="N",
                       help="largest request, MiB (default 16)")
    serve.add_argument("--tls-cert", metavar="FILE", help="the server's certificate, PEM: both ports are encrypted")
    serve.add_argument("--tls-key", metavar="FILE", help="its private key, PEM")
    serve.add_argument("--tls-client-ca", metavar="FILE",
                       help="authorities whose clients are let in (mutual TLS), PEM")
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
    from serving.batcher import Batching
    from serving.model_config import ModelConfig, read_models
    from serving.server_options import ServerOptions
    from serving.server_tls import ServerTls
    from serving.stock_server import PROGRAM, serve_stock
    from serving.version_policy import VersionPolicy

    server = options.server
    if server == "auto":
        server = "stock" if shutil.which(PROGRAM) else "embedded"
    if served is None:
        models = read_models(options.model_config)
    else:
        models = [ModelConfig(served.name, str(served), VersionPolicy.parse(options.versions), labels)]
    listening = ServerOptions(
        host=options.host, port=options.port, rest_port=options.rest_port, running=options.running,
        waiting=options.waiting, batching=Batching(options.batch_rows, options.batch_wait_ms / 1000),
        intra_op_threads=options.intra_op_threads, max_message_bytes=options.max_request_mb << 20,
        tls=ServerTls(options.tls_cert, options.tls_key, options.tls_client_ca) if options.tls_cert else None)
    if server == "embedded":
        from serving.serve import serve

        serve(models, listening, port_file=options.port_file)
    else:
        from pipeline.config import SERVING_IMAGE

        serve_stock(models, listening, image=SERVING_IMAGE if server == "docker" else None,
                    port_file=options.port_file)
