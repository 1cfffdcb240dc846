"""Checks the options of the Beam pipelines against Beam itself and against the job server."""

from __future__ import annotations

import contextlib
import difflib
import io

import grpc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from models.spec.errors import UserError
from pipeline.settings.beam import PORTABLE, Beam

# Seconds until a job server that does not answer is given up.
_PATIENCE = 10


def check_options(beam: Beam, patience: float = _PATIENCE) -> None:
    """Checks names and values of the options; with a job server, that it answers.

    Args:
        beam: the keys `beam.*`.
        patience: seconds that the job server has to answer.

    Raises:
        UserError: an option is unknown, its value is wrong, or the job server does not answer.
    """
    known = PipelineOptions([]).get_all_options()
    named = set(known)
    if beam.runner == PORTABLE:
        # A job server has options of its own, as Flink's `object_reuse`.
        named |= _options_of_server(beam.options["job_endpoint"], patience)
    for name, value in beam.options.items():
        _check_name(name, value, known, named)
    stderr = io.StringIO()
    try:
        with contextlib.redirect_stderr(stderr):
            PipelineOptions(beam.flags()).get_all_options()
    except SystemExit:
        reason = stderr.getvalue().strip().rpartition("error: ")[2]
        raise UserError(f"beam.options: {reason}") from None


def _check_name(name: str, value, known: dict, named: set[str]) -> None:
    if name not in named and not _is_flag(name):
        near = difflib.get_close_matches(name, named, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"beam.options.{name}: is no option of Beam or of the job server; {hint}docs/beam.md says "
                        "where they are listed")
    if value is False and known.get(name, False) is not False:
        raise UserError(f"beam.options.{name}: cannot be turned off so; write no_{name}: true")


def _is_flag(name: str) -> bool:
    """Whether Beam knows a flag by another name than what it sets, as `no_use_public_ips`."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return name not in PipelineOptions([f"--{name}"]).get_all_options(retain_unknown_options=True)
    except SystemExit:
        return True  # It wants a value.


def _options_of_server(endpoint: str, patience: float) -> set[str]:
    with grpc.insecure_channel(endpoint) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=patience)
            answer = beam_job_api_pb2_grpc.JobServiceStub(channel).DescribePipelineOptions(
                beam_job_api_pb2.DescribePipelineOptionsRequest(), timeout=patience)
        except grpc.FutureTimeoutError:
            raise UserError(f"beam.options.job_endpoint: {endpoint} does not answer within {patience:g} s; is the job "
                            "server running, and can it be reached from here?") from None
        except grpc.RpcError as error:
            raise UserError(f"beam.options.job_endpoint: {endpoint} answers, but not as a Beam job server "
                            f"({error.code().name}: {error.details()}); name the job port") from error
    return {option.name for option in answer.options}
