import pytest

from models.spec.errors import UserError
from pipeline.config import RunConfig


def test_settings_win_over_the_file_and_the_file_over_defaults(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("embedding_dim: 8\nalignment: {epochs: 3, batch_size: 64}\n")
    config = RunConfig.load("no-such-builtin", str(path), ["alignment.epochs=5", "backbone=autoint"])
    assert config.embedding_dim == 8
    assert (config.alignment.epochs, config.alignment.batch_size) == (5, 64)
    assert config.training == RunConfig().training


@pytest.mark.parametrize(("setting", "message"), [
    ("alignment.epoch=5", "--set alignment.epoch=5: alignment.epoch is no known key; did you mean epochs? "),
    ("alignment.epochs=0", "--set alignment.epochs=0: alignment.epochs: 0: Input should be greater than or equal"),
    ("training.batch_size=1", "training.batch_size: 1: must be 2 or more, or 0, which takes what fits"),
    ("text_mode=frosen", "text_mode: 'frosen': Input should be 'frozen' or 'finetune'"),
    ("alignment.epochs", "is not KEY=VALUE, as alignment.epochs=2"),
    ("alignment.epochs=[1", "--set alignment.epochs=[1: the value '[1' is no YAML: expected ',' or ']'"),
    ("model_name=2024-13-01", "--set model_name=2024-13-01: the value '2024-13-01' is no YAML: month must be in"),
])
def test_a_wrong_setting_is_named_with_what_would_be_right(setting, message):
    with pytest.raises(UserError) as error:
        RunConfig.load("no-such-builtin", None, [setting])
    assert message in str(error.value)


def test_a_wrong_file_is_named(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("training: {learning_rate: -1}\n")
    with pytest.raises(UserError, match=r"my.yaml: training.learning_rate: -1"):
        RunConfig.load("no-such-builtin", str(path))


@pytest.mark.parametrize("content", [b"seed: [1", b"model_name: 2024-13-01", b"seed: \xff"])
def test_a_file_that_is_no_yaml_is_named(tmp_path, content):
    path = tmp_path / "my.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match="my.yaml: cannot be read as YAML"):
        RunConfig.load("no-such-builtin", str(path))


def test_smoke_shrinks_the_training():
    assert RunConfig.load("no-such-builtin", smoke=True).training.epochs == 1


@pytest.mark.parametrize("word", ["on", "off", "auto"])
def test_on_and_off_may_be_yaml_s_words(word):
    assert RunConfig.load("no-such-builtin", None, [f"infra_validation={word}"]).infra_validation == word
    assert RunConfig.load("no-such-builtin", None, [f"mixed_precision={word}"]).mixed_precision == word


@pytest.mark.parametrize("key, value", [
    ("alignment.chunk_size", 64), ("alignment.jit_compile", "true"), ("training.jit_compile", "true"),
    ("distribution.embedding_device", "cpu")])
def test_what_is_for_one_device_is_refused_on_several(key, value):
    settings = [f"{key}={value}"]
    config = RunConfig.load("no-such-builtin", None, settings)
    # On what `auto` finds, a stage decides.
    config.check(devices=1)
    with pytest.raises(UserError, match=f"{key} is .*for one device"):
        config.check(devices=2)
    with pytest.raises(UserError, match=f"{key} is .*distribution.strategy of mirrored; set it to"):
        RunConfig.load("no-such-builtin", None, [*settings, "distribution.strategy=mirrored"])


def test_xla_and_chunks_do_not_go_together():
    with pytest.raises(UserError, match="alignment.jit_compile compiles no step that works in chunks"):
        RunConfig.load("no-such-builtin", None, ["alignment.jit_compile=true", "alignment.chunk_size=64"])
