"""Runs Beam pipelines on this machine."""

from __future__ import annotations

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.pipeline import Pipeline
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.runners.runner import PipelineResult, PipelineRunner

from pipeline.settings.beam import LOCAL_RUNNER


class LocalBeamRunner(PipelineRunner):
    """Beam's FnApiRunner, whatever else there is on a machine.

    Since Beam 2.68 DirectRunner first tries to download Prism, a server in Go, and to run on it what it thinks can run
    there; where it cannot it falls back on FnApiRunner without a word (https://github.com/apache/beam/pull/34612). One
    log would go two ways on two machines: Prism raises a `RuntimeError` in place of a component's own error, which is
    for the user to read, names metrics otherwise and does not know `direct_running_mode`. Behind a firewall that does
    not answer, every pipeline would wait for the download.

    As with DirectRunner, and unlike with a plain FnApiRunner, worker processes are given the pipeline's options.

    Example:

    ```python
    LocalBeamRunner.make_default()
    with beam.Pipeline() as pipeline: ...
    ```
    """

    @staticmethod
    def make_default() -> None:
        """Makes it the runner of every pipeline of this process for which none is named.

        A flag `--runner` would do so too, but with any flag TFX packages itself anew in every component.
        """
        StandardOptions.DEFAULT_RUNNER = LOCAL_RUNNER

    def run_pipeline(self, pipeline: Pipeline, options: PipelineOptions) -> PipelineResult:
        """Runs a pipeline to its end; see `apache_beam.runners.runner.PipelineRunner`."""
        info = fn_runner.ExtendedProvisionInfo(beam_provision_api_pb2.ProvisionInfo(
            pipeline_options=JobServiceHandle.encode_pipeline_options(options.get_all_options())))
        return fn_runner.FnApiRunner(provision_info=info).run_pipeline(pipeline, options)
