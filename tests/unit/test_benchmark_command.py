"""What benchmarks on one dataset share: their command line."""

from benchmarks.command import shown_command


def test_the_command_is_shown_without_paths():
    arguments = ["--data-dir", "/home/me/ml-1m", "--dataset", "/a/own.yaml", "--root=/tmp/r", "--smoke"]
    assert shown_command("benchmarks.gain", arguments) == (
        "python -m benchmarks.gain --data-dir DIR --dataset own.yaml --root=ROOT --smoke")
    arguments = ["--peers", "/x", "--movielens=/y", "--rows", "9", "--output", "/z"]
    assert shown_command("benchmarks.speed", arguments) == (
        "python -m benchmarks.speed --peers FOLDER --movielens=DIR --rows 9 --output FILE")
