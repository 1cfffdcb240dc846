"""Other libraries that are measured beside this project, each in an environment of its own."""

from __future__ import annotations

import pathlib
import subprocess

from models.spec.errors import UserError

_HERE = pathlib.Path(__file__).parent
# Shown name to that of its requirements, its script and its environment.
PEERS = {"FuxiCTR": "fuxictr", "DeepCTR-Torch": "deepctr_torch"}
# The ways in which each is run: shown name to the first arguments of its script. FuxiCTR's default, a process that
# reads beside the one that trains, may help or get in the way where cores are few.
_WAYS = {
    "FuxiCTR": {"FuxiCTR, 1 loader process": ["1"], "FuxiCTR, no loader process": ["0"]},
    "DeepCTR-Torch": {"DeepCTR-Torch": []},
}


def is_ready(folder: pathlib.Path, peer: str) -> bool:
    """Whether a peer's environment is there, whole, and of the present requirements."""
    done = folder / PEERS[peer] / "installed.txt"
    return done.exists() and done.read_text(encoding="utf-8") == _requirements(peer).read_text(encoding="utf-8")


def install(folder: pathlib.Path, peer: str, python: str) -> None:
    """Makes a peer's environment, unless it is ready; packages come from where pip is configured to look.

    Args:
        folder: holds the environments.
        peer: one of `PEERS`.
        python: the interpreter that the environment is made of.

    Raises:
        UserError: it cannot be made.
    """
    if is_ready(folder, peer):
        return
    home, requirements = folder / PEERS[peer], _requirements(peer)
    try:
        for command in ([python, "-m", "venv", home], [home / "bin" / "python", "-m", "pip", "install", "--quiet",
                                                       "--disable-pip-version-check", "--requirement", requirements]):
            subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(f"no environment for {peer} in {home}: {error}; it needs a Python for which PyTorch is built "
                        "(--python) and a package index that pip reaches") from error
    (home / "installed.txt").write_text(requirements.read_text(encoding="utf-8"), encoding="utf-8")


def commands(folder: pathlib.Path, peer: str) -> dict[str, list[str]]:
    """The ways to run a peer: shown name to what the paths of job and model follow; it sees nothing of this project."""
    return {name: [*_command(folder, peer, "train"), *arguments] for name, arguments in _WAYS[peer].items()}


def predict_command(folder: pathlib.Path, peer: str) -> list[str]:
    """What the path of the job follows, to time a peer's predictions."""
    return _command(folder, peer, "predict")


def _command(folder: pathlib.Path, peer: str, script: str) -> list[str]:
    return [str(folder / PEERS[peer] / "bin" / "python"), "-I", str(_HERE / f"{script}_{PEERS[peer]}.py")]


def _requirements(peer: str) -> pathlib.Path:
    return _HERE / f"{PEERS[peer]}.txt"
