"""The sub-command `submit` of `ctrl`."""

from __future__ import annotations

import pathlib

from models.spec.errors import UserError
from pipeline.compile_command import require_kfp


def add(commands) -> None:
    """Adds the sub-command to those of a parser, as `argparse`'s `add_subparsers` returns them."""
    parser = commands.add_parser("submit", help="run a compiled pipeline on Kubeflow or Vertex AI Pipelines")
    parser.add_argument("file", nargs="?", default="pipeline.yaml", metavar="FILE", type=pathlib.Path,
                        help="what `ctrl compile` wrote (default pipeline.yaml)")
    parser.add_argument("--host", metavar="URL", help="the API of Kubeflow Pipelines, as http://localhost:8888")
    parser.add_argument("--vertex", action="store_true", help="run it on Vertex AI Pipelines")
    parser.add_argument("--project", help="Google Cloud project, with --vertex")
    parser.add_argument("--region", help="its region, as europe-west4, with --vertex")
    parser.add_argument("--param", dest="parameters", action="append", default=[], metavar="NAME=VALUE",
                        help="a run parameter, as max_drift=0.5; may be repeated")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--daily", action="store_true",
                      help="a recurring run, every day at 02:00 UTC, in place of one now")
    when.add_argument("--cron", metavar="EXPRESSION", help="a recurring run at other times, as '30 4 * * 1-5'")
    parser.add_argument("--no-cache", action="store_true", help="run every step, whatever was computed before")
    parser.add_argument("--token-file", metavar="FILE", type=pathlib.Path,
                        help="holds the bearer token of a Kubeflow that asks who is there")
    parser.add_argument("--experiment", default="ctrl", metavar="NAME",
                        help="under which Kubeflow lists the run (default ctrl)")
    parser.add_argument("--namespace", help="of a Kubeflow with several users")
    parser.add_argument("--service-account", metavar="NAME", help="as which the steps run")
    parser.set_defaults(handler=_submit)


def _submit(options) -> None:
    if bool(options.host) == options.vertex:
        raise UserError("say where it runs: --host URL for Kubeflow Pipelines, or --vertex with --project and --region")
    if options.vertex and not (options.project and options.region):
        raise UserError("--vertex needs --project and --region")
    from pipeline import console

    console.set_environment()
    from pipeline.submission import DAILY, Submission

    cron = DAILY if options.daily else options.cron
    submission = Submission.read(options.file, options.parameters, cron, not options.no_cache)
    if options.vertex:
        from pipeline.vertex import submit

        link = submit(submission, options.project, options.region, options.service_account)
    else:
        require_kfp("--host")
        from pipeline.kubeflow_client import submit

        link = submit(submission, options.host, experiment=options.experiment, namespace=options.namespace,
                      service_account=options.service_account, token_file=options.token_file)
    print(link)
