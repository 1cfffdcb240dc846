import json
import subprocess
import sys

import pytest
from apache_beam.options.pipeline_options import StandardOptions

from models.spec.errors import UserError
from pipeline import kubeflow_entrypoint
from pipeline.kubeflow_entrypoint import main, with_types
from pipeline.settings.beam import LOCAL_RUNNER

TYPE = {"instanceSchema": "title: tfx.Examples\ntype: object\n"}


def arguments(*artifacts) -> list[str]:
    invocation = {"inputs": {"artifacts": {"examples": {"artifacts": list(artifacts)}}}}
    inputs = {"artifacts": {"examples": {"artifactType": TYPE}}}
    return ["--executor_class_path", "a.B", "--json_serialized_invocation_args", json.dumps(invocation),
            "--json_serialized_inputs_spec_args", json.dumps(inputs), "--direct_num_workers=2"]


def completed(*artifacts) -> list[dict]:
    return json.loads(with_types(arguments(*artifacts))[3])["inputs"]["artifacts"]["examples"]["artifacts"]


@pytest.mark.parametrize("told", [{}, {"type": {}}, {"type": {"schemaTitle": "Dataset"}}, {"type": TYPE}])
def test_the_type_is_the_declared_one_whatever_the_backend_says(told):
    artifact = {"uri": "gs://b/e", "name": "projects/p/artifacts/1", "metadata": {"span": 1}}
    assert completed({**artifact, **told}) == [{**artifact, "type": TYPE}]


def test_every_input_has_a_name_of_its_own():
    assert [a["name"] for a in completed({"uri": "a"}, {"uri": "b"})] == ["examples-0", "examples-1"]


def test_artifacts_that_the_launcher_copies_are_read_and_written_as_files(tmp_path, monkeypatch):
    monkeypatch.setenv(kubeflow_entrypoint.LAUNCHER_ROOT, str(tmp_path))
    said = tmp_path / "output.json"

    def step(*_, **__):
        given = json.loads(sys.argv[sys.argv.index("--json_serialized_invocation_args") + 1])
        read, written = (given[side]["artifacts"]["model"]["artifacts"][0]["uri"] for side in ("inputs", "outputs"))
        assert (read, written) == (f"{tmp_path}/minio/bucket/run/model", f"{tmp_path}/minio/bucket/run/model_2")
        said.write_text(json.dumps({"model": {"uri": written, "metadata": {"current_model": read}}}))
        sys.exit(0)

    monkeypatch.setattr(kubeflow_entrypoint.runpy, "run_module", step)
    monkeypatch.setattr(sys, "argv", ["step"])
    invocation = {
        "inputs": {"artifacts": {"model": {"artifacts": [{"uri": "minio://bucket/run/model"}]}}},
        "outputs": {"artifacts": {"model": {"artifacts": [{"uri": "minio://bucket/run/model_2"}]}},
                    "outputFile": str(said)}}
    with pytest.raises(SystemExit):
        main(["--json_serialized_invocation_args", json.dumps(invocation)])
    assert json.loads(said.read_text()) == {
        "model": {"uri": "minio://bucket/run/model_2", "metadata": {"current_model": "minio://bucket/run/model"}}}


def test_artifacts_in_cloud_storage_are_read_and_written_there():
    arguments = ["--json_serialized_invocation_args",
                 json.dumps({"inputs": {"artifacts": {"m": {"artifacts": [{"uri": "gs://bucket/m"}]}}}})]
    assert kubeflow_entrypoint.with_copies(arguments)[:2] == (arguments, {})


def test_other_arguments_are_passed_on():
    given = arguments({"uri": "a"})
    assert [a for i, a in enumerate(with_types(given)) if i != 3] == [a for i, a in enumerate(given) if i != 3]
    assert with_types(["--help"]) == ["--help"]


def test_an_error_of_the_users_is_told_without_a_traceback(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("in a Beam worker") from UserError("log.csv: is empty")

    monkeypatch.setattr(kubeflow_entrypoint.runpy, "run_module", fail)
    monkeypatch.setattr(sys, "argv", ["step"])
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == "UserError: log.csv: is empty"


def test_any_other_error_is_raised(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(kubeflow_entrypoint.runpy, "run_module", fail)
    monkeypatch.setattr(sys, "argv", ["step"])
    with pytest.raises(RuntimeError, match="out of memory"):
        main([])


def test_beam_pipelines_without_a_runner_stay_in_the_container(monkeypatch):
    found = []
    monkeypatch.setattr(StandardOptions, "DEFAULT_RUNNER", "DirectRunner")
    monkeypatch.setattr(sys, "argv", ["step"])
    monkeypatch.setattr(kubeflow_entrypoint.runpy, "run_module",
                        lambda *_, **__: found.append(StandardOptions.DEFAULT_RUNNER))
    main([])
    assert found == [LOCAL_RUNNER]


def test_keras_3_is_chosen_before_tfx_is_imported():
    code = "import pipeline.kubeflow_entrypoint, sys; print({'tfx', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
