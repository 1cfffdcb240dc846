import pathlib

import setuptools

from tests.dockerfile import ignored, instructions

ROOT = pathlib.Path(__file__).parents[2]
STEPS = instructions(ROOT / "Dockerfile")


def arguments(name: str) -> list[str]:
    return [text for found, text in STEPS if found == name]


def test_everything_that_is_copied_is_there_and_not_ignored():
    sources = [source for text in arguments("COPY") for source in text.split()[:-1]]
    assert sources and all((ROOT / source).exists() for source in sources)
    assert not [source for source in sources if ignored(ROOT / ".dockerignore", source)]
    assert ignored(ROOT / ".dockerignore", "tests") and ignored(ROOT / ".dockerignore", ".git")


def test_every_package_is_copied():
    packages = {name.partition(".")[0] for name in setuptools.find_packages(str(ROOT))}
    copied = {text.split()[0] for text in arguments("COPY")}
    assert packages - {"tests", "benchmarks"} <= copied


def test_it_is_small_locked_and_not_root():
    assert arguments("FROM") == ["python:3.10-slim-bookworm"]
    assert any("install.sh" in text for text in arguments("RUN"))
    # The last one counts; a number, so that Kubernetes can see that it is not root.
    assert arguments("USER")[-1].isdecimal() and arguments("USER")[-1] != "0"


def test_every_locked_package_has_a_hash():
    for name in ("requirements.lock", "requirements-gpu.lock"):
        blocks = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
        assert blocks and all("==" in block and "--hash=sha256:" in block for block in blocks)


def test_the_gpu_lock_is_what_tensorflow_asks_for():
    import importlib.metadata

    wanted = {r.partition(";")[0].strip().replace(" ", "") for r in importlib.metadata.requires("tensorflow")
              if "and-cuda" in r}
    pinned = {line for line in (ROOT / "requirements-gpu.in").read_text().splitlines() if not line.startswith("#")}
    assert pinned == wanted
    locked = {line.partition(" ")[0] for line in (ROOT / "requirements-gpu.lock").read_text().splitlines()
              if not line.startswith(" ")}
    assert locked == pinned
