import concurrent.futures
import contextlib

import grpc
import pytest
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from models.spec.errors import UserError
from pipeline.beam_options import check_options
from pipeline.config import RunConfig
from pipeline.settings.beam import Beam

PORTABLE = ["beam.runner=PortableRunner"]
DATAFLOW = ["beam.runner=DataflowRunner", "beam.options.project=clicks-prod", "beam.options.region=europe-west1",
            "beam.options.temp_location=gs://clicks/tmp"]


def load(*settings: str) -> Beam:
    return RunConfig.load("no-such-builtin", None, list(settings)).beam


class JobServer(beam_job_api_pb2_grpc.JobServiceServicer):
    """A job server that only says which options it has."""

    def DescribePipelineOptions(self, request, context):
        return beam_job_api_pb2.DescribePipelineOptionsResponse(
            options=[beam_job_api_pb2.PipelineOptionDescriptor(name="object_reuse")])


@contextlib.contextmanager
def serving(*servicers):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    for servicer in servicers:
        beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0)


def test_without_keys_the_pipelines_get_no_flags():
    assert load().flags() == []


def test_options_become_flags():
    beam = load("beam.options={direct_num_workers: 2, direct_running_mode: multi_processing, experiments: [a, b], "
                "no_auth: true, streaming: false}")
    assert beam.flags() == ["--runner=pipeline.local_beam_runner.LocalBeamRunner", "--direct_num_workers=2",
                            "--direct_running_mode=multi_processing", "--experiments=a", "--experiments=b", "--no_auth"]
    check_options(beam)


@pytest.mark.parametrize(("settings", "message"), [
    (["beam.runner=DaskRunner"], "beam.runner: 'DaskRunner': is not offered: it was seen to report success"),
    (["beam.runner=FlinkRunner"], "start Flink's job server and name it as beam.options.job_endpoint"),
    (["beam.runner=Direct"], "is not offered: there are: DirectRunner, PortableRunner, DataflowRunner"),
    (["beam.options.runner=DirectRunner"], "the runner is the key beam.runner"),
    (["beam.options.--streaming=true"], "'--streaming' is no name of an option"),
    (["beam.options.direct_num_workers=2"], "has no effect with the running mode in_memory; set beam.options."),
    (PORTABLE, "beam.options.job_endpoint is missing: the address of the job server, as localhost:8099"),
    ([*PORTABLE, "beam.options.job_endpoint=flink"], "'flink' is not HOST:PORT"),
    ([*PORTABLE, "beam.options.job_endpoint=flink:8099"], "Beam's own image does not hold this package"),
    ([*PORTABLE, "beam.options.job_endpoint=flink:8099", "beam.options.environment_type=EXTERNAL"],
     "beam.options.environment_config is missing: the address of the worker pool"),
    (DATAFLOW[:2], "these are missing: beam.options.region, beam.options.temp_location"),
    ([*DATAFLOW, "beam.options.temp_location=/tmp"], "'/tmp' is no folder in Google Cloud Storage, as gs://bucket/tmp"),
    (DATAFLOW, "its workers need this package: set beam.options.setup_file"),
])
def test_what_a_runner_cannot_work_with_is_refused_before_anything_is_loaded(settings, message):
    with pytest.raises(UserError) as error:
        load(*settings)
    assert message in str(error.value)


@pytest.mark.parametrize(("options", "message"), [
    ("direct_num_worker: 2", "beam.options.direct_num_worker: is no option of Beam or of the job server; did you mean "
                             "direct_num_workers?"),
    ("direct_running_mode: multiprocessing", "argument --direct_running_mode: invalid choice: 'multiprocessing'"),
    ("use_public_ips: false", "cannot be turned off so; write no_use_public_ips: true"),
])
def test_an_option_that_beam_does_not_take_is_named(options, message):
    with pytest.raises(UserError) as error:
        check_options(load(f"beam.options={{{options}}}"))
    assert message in str(error.value)


def test_an_option_may_be_written_as_the_flag_that_turns_another_off():
    check_options(load("beam.options.no_use_public_ips=true"))


def test_dataflow_gets_its_flags():
    beam = load(*DATAFLOW, "beam.options.setup_file=./setup.py")
    check_options(beam)
    assert beam.flags() == ["--runner=DataflowRunner", "--project=clicks-prod", "--region=europe-west1",
                            "--temp_location=gs://clicks/tmp", "--setup_file=./setup.py"]


def portable(endpoint: str, **options) -> Beam:
    return Beam(runner="PortableRunner", options={
        "job_endpoint": endpoint, "environment_type": "EXTERNAL", "environment_config": "localhost:1", **options})


def test_the_job_server_is_asked_for_its_own_options():
    with serving(JobServer()) as endpoint:
        check_options(portable(endpoint, object_reuse=True))
        with pytest.raises(UserError, match="beam.options.object_reus: is no option .* did you mean object_reuse"):
            check_options(portable(endpoint, object_reus=True))


def test_a_job_server_that_does_not_answer_is_named():
    with serving() as endpoint, pytest.raises(UserError, match="answers, but not as a Beam job server"):
        check_options(portable(endpoint))
    with pytest.raises(UserError, match=r"127.0.0.1:\d+ does not answer within 0.2 s; is the job server running"):
        check_options(portable(endpoint), patience=0.2)
