"""Arguments that several of `ctrl`'s sub-commands take."""

from __future__ import annotations

import argparse
import math
import os
import pathlib

_ROOT = "ctrl_root"


def add_root(parser: argparse.ArgumentParser) -> None:
    """Adds `--root`."""
    parser.add_argument("--root", default=_ROOT, metavar="DIR", type=pathlib.Path,
                        help=f"folder of everything that runs write (default {_ROOT})")


def add_served(parser: argparse.ArgumentParser) -> None:
    """Adds `--dataset` and `--model`, which choose among the models below the root."""
    parser.add_argument("--dataset", metavar="NAME|SPEC.yaml", help="whose model, when the root holds several")
    parser.add_argument("--model", metavar="NAME", help="which model, when the dataset has several")


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
