"""Arguments that several of `ctrl`'s sub-commands take."""

from __future__ import annotations

import argparse
import os
import pathlib

_ROOT = "ctrl_root"


def add_root(parser: argparse.ArgumentParser) -> None:
    """Adds `--root`."""
    parser.add_argument("--root", default=_ROOT, metavar="DIR", type=pathlib.Path,
                        help=f"folder of everything that runs write (default {_ROOT})")


def positive(text: str) -> int:
    """The type of an argument that is a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def is_known(dataset: str) -> bool:
    """Whether `datasets.load` takes it: a built-in name, or a file."""
    from pipeline import datasets

    return dataset in datasets.names() or dataset.endswith((".yaml", ".yml")) or os.path.isfile(dataset)
