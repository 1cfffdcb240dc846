"""Puts a page together: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence

import jinja2
import markupsafe

from pipeline.report import formats


def render(
    template: str, charts: Mapping[str, dict] | None = None, scripts: Sequence[str] = ("page.js",), **values,
) -> str:
    """A page by one of the templates beside this module.

    Everything that is put into it is escaped. Its content security policy lets it run its own scripts,
    known by their digests, and load nothing: a script in the data would not run even if it came through.

    Args:
        template: its file name.
        charts: Vega-Lite specifications by the name that the template places them by; with any, the
            library that draws them is put in too.
        scripts: the file names of its own scripts.
        **values: what the template shows.
    """
    sources = [_library()] if charts else []
    sources += map(_source, scripts)
    return _environment().get_template(template).render(
        **values,
        charts=charts or {},
        chart_data=_data({"config": _chart_config(), "specs": charts}) if charts else "",
        style=markupsafe.Markup(_source("style.css")),
        # Neither holds `</script`: a test makes sure.
        scripts=[markupsafe.Markup(s) for s in sources],
        script_digests=" ".join(f"'sha256-{_digest(s)}'" for s in sources),
    )


def _chart_config() -> dict:
    from pipeline.report.charts import CONFIG

    return CONFIG


def _data(values) -> markupsafe.Markup:
    """JSON that can stand in a script element: `<` would let `</script>` or `<!--` end it or hide its end."""
    text = json.dumps(values, separators=(",", ":"), allow_nan=False)
    return markupsafe.Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@functools.cache
def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script that loads nothing, as vl-convert carries them."""
    import vl_convert

    return vl_convert.javascript_bundle()


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined)
    environment.filters.update(formats.FILTERS)
    return environment


def _source(name: str) -> str:
    source, _, _ = _environment().loader.get_source(_environment(), name)
    return source
