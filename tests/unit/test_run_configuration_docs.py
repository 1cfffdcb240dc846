import inspect
import json
import pathlib
import re

import pydantic

from pipeline.config import RunConfig

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "run-configuration.md"


def _keys(cls, prefix=""):
    for name, field in cls.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, pydantic.BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")
        else:
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            yield f"{prefix}{name}", json.dumps(default)


def test_every_key_is_documented_with_its_default():
    documented = dict(re.findall(r"^\| `([\w.]+)` \| `(.*?)` \|", DOCUMENT.read_text(encoding="utf-8"), re.M))
    assert documented == dict(_keys(RunConfig))


def test_every_backbone_is_documented_with_its_options():
    from models import backbones

    text = DOCUMENT.read_text(encoding="utf-8")
    rows = {r.split("`")[1]: r for r in text.split("## Backbones")[1].splitlines() if r.startswith("| `")}
    assert sorted(rows) == backbones.names()
    for name, row in rows.items():
        backbone = backbones.get(name)
        for option in inspect.signature(type(backbone).__init__).parameters.values():
            if option.kind is option.POSITIONAL_OR_KEYWORD and option.name != "self":
                default = repr(option.default).replace("'", '"')
                assert f"`{option.name}={default}`" in row
