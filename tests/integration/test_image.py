"""What the Dockerfile installs works, where there is no Docker: its steps in a clean virtual environment."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests.dockerfile import follow

ROOT = pathlib.Path(__file__).parents[2]
# pip is told by these where packages come from.
_KEPT = ("HOME", "LANG", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "NO_PROXY", "no_proxy", "TMPDIR")


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_steps_of_the_dockerfile_install_a_command_that_works(tmp_path):
    venv, work = tmp_path / "venv", tmp_path / "opt"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    work.mkdir()
    environment = {k: v for k, v in os.environ.items() if k in _KEPT or k.startswith("PIP_")}
    environment["PATH"] = f"{venv / 'bin'}:/usr/bin:/bin"
    left_out = follow(ROOT / "Dockerfile", work, {"DEVICE": "cpu"}, environment)
    assert [command.split()[0] for command in left_out] == ["find", "useradd"]

    def run(*command):
        # Elsewhere than beside the sources, which would be imported in place of what is installed.
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    listed = run("ctrl", "datasets")
    assert listed.returncode == 0 and listed.stdout.startswith("sample "), listed.stderr
    compiled = run("ctrl", "compile", "--dataset", "sample", "--image", "ctrl:1", "--pipeline-root", "minio://bucket",
                   "--shared", str(tmp_path / "shared"))
    assert compiled.returncode == 0 and (tmp_path / "pipeline.yaml").exists(), compiled.stdout + compiled.stderr
    step = run("python", "-m", "pipeline.kubeflow_entrypoint", "--helpfull")
    assert "executor_class_path" in step.stdout + step.stderr
    where = run("python", "-c", "import components; print(components.__file__, components.IngestionReport)")
    assert str(venv) in where.stdout, where.stderr
