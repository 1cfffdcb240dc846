"""The sub-command `compile` of `ctrl`."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re

from models.spec.errors import UserError
from pipeline.command_arguments import add_config, add_dataset

# A registry, folders, a name, and a tag or a digest (github.com/distribution/reference).
_IMAGE = re.compile(r"[a-z0-9][\w.-]*(:\d+)?(/[a-z0-9._-]+)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?")


def add(commands) -> None:
    """Adds the sub-command to those of a parser, as `argparse`'s `add_subparsers` returns them."""
    parser = commands.add_parser("compile", help="write the pipeline's file for Kubeflow or Vertex AI Pipelines")
    add_dataset(parser)
    add_config(parser)
    parser.add_argument("--image", required=True, metavar="IMAGE",
                        help="the container image of every step, as `make image` builds it")
    parser.add_argument("--pipeline-root", required=True, metavar="URI",
                        help="where runs write: gs://bucket/folder, s3://... or minio://...")
    parser.add_argument("--shared", metavar="DIR",
                        help="where served versions and the state of training are: a volume that every step mounts "
                             "(default: below a --pipeline-root in gs://)")
    parser.add_argument("-o", "--output", default="pipeline.yaml", metavar="FILE", type=pathlib.Path,
                        help="the file to write (default pipeline.yaml)")
    parser.set_defaults(handler=_compile)


def require_kfp(command: str) -> None:
    """Raises UserError where the client of Kubeflow Pipelines is not installed."""
    if importlib.util.find_spec("kfp") is None:
        raise UserError(f"{command} needs the client of Kubeflow Pipelines, which the extra kfp brings: pip install "
                        "'ctrl-tfx[kfp]'")


def _compile(options) -> None:
    require_kfp("compile")
    from pipeline import console, datasets
    from pipeline.config import RunConfig
    from pipeline.uri_layout import UriLayout

    if options.output.suffix not in (".yaml", ".yml"):
        raise UserError(f"--output {options.output}: must end in .yaml, which is how Kubeflow knows what it is")
    if not _IMAGE.fullmatch(options.image):
        raise UserError(f"--image {options.image}: is no name of a container image, as registry.example/ctrl:1.0")
    spec = datasets.load(options.dataset)
    config = RunConfig.load(spec.name, options.config, options.settings, options.smoke)
    layout = UriLayout.below(
        options.pipeline_root, f"{spec.name}-smoke" if options.smoke else spec.name, options.shared)
    console.set_environment()
    with console.quiet(pathlib.Path(os.devnull)) as logger:
        logger.info("loading the libraries ...")
        from pipeline.kubeflow import write_pipeline

        write_pipeline(spec, config, options.image, layout, options.output, options.data_dir)
        logger.info("pipeline  %s", options.output)
        logger.info("artifacts %s", layout.artifacts)
        logger.info("model     %s", layout.serving(config.model_name))
        logger.info("next      ctrl submit --host URL %s", options.output)
