"""The keys `beam.*` of a run configuration."""

from __future__ import annotations

from pipeline.settings.part import Part


class Beam(Part):
    """The Beam pipelines.

    Args:
        args: flags of the Beam pipelines, as `--direct_num_workers=2`. With none, Beam's
            DirectRunner works in this process; with any, TFX packages itself anew for
            every component unless `--setup_file` or an image is among them.
    """

    args: tuple[str, ...] = ()
