"""What benchmarks on one dataset share: their command line."""

import pytest

from benchmarks.command import seeds_of, shown_command
from models.spec.errors import UserError


def test_the_command_is_shown_without_paths():
    arguments = ["--data-dir", "/home/me/ml-1m", "--dataset", "/a/own.yaml", "--root=/tmp/r", "--smoke"]
    assert shown_command("benchmarks.gain", arguments) == (
        "python -m benchmarks.gain --data-dir DIR --dataset own.yaml --root=ROOT --smoke")
    arguments = ["--peers", "/x", "--movielens=/y", "--rows", "9", "--output", "/z"]
    assert shown_command("benchmarks.speed", arguments) == (
        "python -m benchmarks.speed --peers FOLDER --movielens=DIR --rows 9 --output FILE")


def test_a_name_may_have_seeds_of_its_own():
    assert seeds_of("--backbones", ["autoint", "dcnv2:1,2"], [1, 2, 3]) == {
        "autoint": [1, 2, 3], "dcnv2": [1, 2]}
    with pytest.raises(UserError, match="--backbones dcnv2:x: the seeds must be whole numbers, as dcnv2:1,2"):
        seeds_of("--backbones", ["dcnv2:x"], [1])
