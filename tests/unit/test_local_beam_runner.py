import os
import re

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.portability import prism_runner

from models.spec.errors import UserError
from pipeline.local_beam_runner import LocalBeamRunner
from pipeline.run import user_error
from pipeline.settings.beam import Beam


class Asked(Exception):
    """Somebody wanted Prism."""


@pytest.fixture(autouse=True)
def default(monkeypatch):
    """The runner is the default for one test, and nothing is downloaded whoever wants it."""
    asked = []

    def refuse(self):
        asked.append(self)
        raise Asked

    monkeypatch.setattr(prism_runner.PrismJobServer, "subprocess_cmd_and_endpoint", refuse)
    monkeypatch.setattr(StandardOptions, "DEFAULT_RUNNER", "DirectRunner")
    LocalBeamRunner.make_default()
    return asked


def count(pipeline: beam.Pipeline, folder) -> str:
    """Sums up some numbers, by a shuffle."""
    with pipeline:
        _ = (pipeline | beam.Create([("a", 1), ("a", 2)], reshuffle=False) | beam.CombinePerKey(sum)
             | beam.io.WriteToText(str(folder / "sums")))
    (path,) = folder.glob("sums*")
    return path.read_text(encoding="utf-8").strip()


def test_a_pipeline_without_a_runner_runs_here_and_nobody_looks_for_prism(default, tmp_path):
    assert count(beam.Pipeline(), tmp_path) == "('a', 3)"
    assert not default


def test_beams_own_runner_would_look_for_it(default, tmp_path):
    assert count(beam.Pipeline("DirectRunner"), tmp_path) == "('a', 3)"
    assert default


def test_the_error_of_a_function_is_the_error_of_the_pipeline():
    def refuse(row):
        raise UserError(f"row {row} is wrong")

    with pytest.raises(Exception, match="row 1 is wrong") as error, beam.Pipeline() as pipeline:
        _ = pipeline | beam.Create([1]) | beam.Map(refuse)
    assert re.match("row 1 is wrong", str(user_error(error.value)))


def test_worker_processes_are_given_the_options(default, tmp_path):
    flags = Beam(options={"direct_num_workers": 1, "direct_running_mode": "multi_processing",
                          "experiments": ["seen_by_workers"]}).flags()
    with beam.Pipeline(options=PipelineOptions(flags)) as pipeline:
        _ = (pipeline | beam.Create([None])
             | beam.Map(lambda _: f"{os.getpid()} {os.environ['PIPELINE_OPTIONS']}")
             | beam.io.WriteToText(str(tmp_path / "worker")))
    (path,) = tmp_path.glob("worker*")
    process, _, options = path.read_text(encoding="utf-8").partition(" ")
    assert int(process) != os.getpid()
    assert "seen_by_workers" in options
    assert not default
