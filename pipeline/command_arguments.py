"""Arguments that several of `ctrl`'s sub-commands take."""

from __future__ import annotations

import argparse
import math
import os
import pathlib

_ROOT = "ctrl_root"
# Names the store once for every command.
_METADATA = "CTRL_METADATA"


def add_root(parser: argparse.ArgumentParser) -> argparse.Action:
    """Adds `--root`, and returns it."""
    return parser.add_argument("--root", default=_ROOT, metavar="DIR", type=pathlib.Path,
                               help=f"folder of everything that runs write (default {_ROOT})")


def add_served(parser: argparse.ArgumentParser) -> None:
    """Adds `--dataset` and `--model`, which choose among the models below the root."""
    parser.add_argument("--dataset", metavar="NAME|SPEC.yaml", help="whose model, when the root holds several")
    parser.add_argument("--model", metavar="NAME", help="which model, when the dataset has several")


def add_metadata(parser: argparse.ArgumentParser) -> argparse.Action:
    """Adds `--metadata`, and returns it; `pipeline.metadata_uri.connection_config` takes its value."""
    return parser.add_argument(
        "--metadata", default=os.environ.get(_METADATA), type=_hidden, metavar="URI",
        help="the ML Metadata store: sqlite:///PATH, mysql://USER@HOST/DATABASE or postgresql://..., its password "
             "from CTRL_METADATA_PASSWORD (default: that of CTRL_METADATA, or SQLite below the root)")


def _hidden(uri: str) -> str:
    """A URI as it is, once `ps` shows its password no longer."""
    login = uri.partition("://")[2].rpartition("@")[0]
    if password := login.partition(":")[2]:
        from pipeline.process_list import hide

        hide(password)
    return uri


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Adds `--wait`."""
    parser.add_argument("--wait", action="store_true",
                        help="wait for the end of another run below the root, when the metadata is in SQLite, rather "
                             "than refuse")


def positive(text: str) -> int:
    """The type of an argument that is a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def seconds(text: str) -> float:
    """The type of an argument that is a time of more than 0 seconds."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0 seconds")
    return number


def is_known(dataset: str) -> bool:
    """Whether `datasets.load` takes it: a built-in name, or a file."""
    from pipeline import datasets

    return dataset in datasets.names() or dataset.endswith((".yaml", ".yml")) or os.path.isfile(dataset)


def find_served(options) -> pathlib.Path:
    """The folder of the versions of the model that the options choose."""
    from pipeline import datasets
    from pipeline.layout import find_serving

    dataset = options.dataset
    if dataset and is_known(dataset):
        dataset = datasets.load(dataset).name
    return find_serving(options.root, dataset, options.model)
