import json

import keras
import numpy as np
import pytest

from models.callbacks.checkpoint import Checkpoint
from models.callbacks.progress import Progress
from models.callbacks.stop_on_non_finite import StopOnNonFinite
from models.spec.errors import UserError


def _model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="head")])
    model.compile("adam", "mse", jit_compile=False)
    return model


def _fit(model, x, epochs=1, **options):
    return model.fit(np.asarray(x, "float32"), np.zeros((len(x), 1)), batch_size=1, epochs=epochs,
                     shuffle=False, verbose=0, **options)


class TestStopOnNonFinite:
    def test_names_step_metric_and_weights(self):
        words = "at epoch 1, step 2: loss is nan; not finite: .*kernel.*learning rate"
        with pytest.raises(UserError, match=words):
            _fit(_model(), [[1, 1], [np.nan, 1], [1, 1]], callbacks=[StopOnNonFinite()])

    def test_says_when_the_weights_are_still_finite(self):
        model = _model()
        model.optimizer.learning_rate = 0.0
        callback = StopOnNonFinite()
        callback.set_model(model)
        with pytest.raises(UserError, match="loss is inf; all weights are finite"):
            callback.on_train_batch_end(0, {"loss": float("inf")})

    @pytest.mark.parametrize("every, where", [(None, "the end of epoch 1"), (2, "epoch 1, step 2")])
    def test_finds_a_broken_weight_behind_a_finite_loss(self, every, where):
        model = _model()
        bias = model.get_layer("head").bias
        spoil = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: bias.assign([np.inf]) if batch == 1 else None)
        with pytest.raises(UserError, match=f"at {where}: not finite: .*head/bias"):
            _fit(model, [[1, 1]] * 2, callbacks=[spoil, StopOnNonFinite(every)])

    def test_lets_sound_training_be(self):
        _fit(_model(), [[1, 1]] * 3, epochs=2, callbacks=[StopOnNonFinite(1)])


class TestCheckpoint:
    def _run(self, tmp_path, values, **options):
        """Feeds epochs with these values of `m` to the callback; returns it and the epochs it saw."""
        model = _model()
        checkpoint = Checkpoint(tmp_path, epochs=9, monitor="m", **options)
        checkpoint.set_model(model)
        model.stop_training = False
        for epoch, value in enumerate(values):
            checkpoint.on_epoch_begin(epoch)
            model.get_layer("head").bias.assign([value])
            checkpoint.on_epoch_end(epoch, {"m": value})
            if model.stop_training:
                break
        return checkpoint, epoch + 1

    @pytest.mark.parametrize("mode, values, best, epochs", [
        ("max", [1, 3, 2, 2, 9], 3, 4),
        ("min", [3, 1, 2, 2, 0], 1, 4),
        ("max", [1, 2, 1.5, 3, 2, 2], 3, 6),
        ("max", [2, 2, 2, 2], 2, 3),
    ])
    def test_stops_and_keeps_the_best(self, tmp_path, mode, values, best, epochs):
        checkpoint, seen = self._run(tmp_path, values, mode=mode, patience=2)
        assert seen == epochs and checkpoint.finished
        model = _model()
        checkpoint.finish(model)
        assert float(model.get_layer("head").bias[0]) == best
        assert checkpoint.history == {"m": values[:epochs]}
        assert len(list(tmp_path.glob("*.h5"))) == 1

    def test_keeps_two_files_at_most(self, tmp_path):
        checkpoint, _ = self._run(tmp_path, [3, 2, 1], patience=9)
        assert len(list(tmp_path.glob("*.h5"))) == 2
        assert not checkpoint.finished

    def test_kill_while_weights_are_written_leaves_the_former_state(self, tmp_path):
        self._run(tmp_path, [3, 2], patience=9)
        (tmp_path / "epoch-0003-step-0000000.weights.h5").write_bytes(b"half a file")
        (tmp_path / "state.json.tmp").write_text('{"epoch"')
        checkpoint, model = Checkpoint(tmp_path, epochs=9, monitor="m"), _model()
        checkpoint.restore(model)
        assert checkpoint.epoch == 2
        assert float(model.get_layer("head").bias[0]) == 2

    def test_kill_between_the_last_epoch_and_done(self, tmp_path):
        self._run(tmp_path, [3, 2, 1], patience=2)
        assert not (tmp_path / "DONE.json").exists()
        checkpoint = Checkpoint(tmp_path, epochs=9, monitor="m", patience=2)
        assert checkpoint.finished
        checkpoint.finish(_model())
        assert json.loads((tmp_path / "DONE.json").read_text())["best_epoch"] == 0
        assert not (tmp_path / "state.json").exists()


class TestProgress:
    def test_lines_within_an_epoch(self):
        lines = []
        _fit(_model(), [[1, 1]] * 4, epochs=2, callbacks=[Progress(lines.append, epochs=2, every=0)])
        assert len(lines) == 10
        assert lines[1].startswith("epoch 1/2  50 %  loss ") and lines[1].endswith(" rows/s")
        assert lines[9].startswith("epoch 2/2  loss ") and lines[9].endswith(" s")

    def test_counts_rows_not_steps_nor_validation(self, monkeypatch):
        clock = iter(range(0, 1000, 10))
        monkeypatch.setattr("models.callbacks.progress.time.monotonic", lambda: next(clock))
        lines = []
        model = _model()
        model.fit(np.ones((6, 2)), np.ones((6, 1)), batch_size=4, verbose=0,
                  validation_data=(np.ones((50, 2)), np.ones((50, 1))),
                  callbacks=[Progress(lines.append, epochs=1, every=1e9)])
        # The clock ticks 10 s a look: start, two steps, then the end of training at 30 s.
        assert "  0 rows/s  40 s" in lines[0]
        model.fit(np.ones((600, 2)), np.ones((600, 1)), batch_size=400, verbose=0,
                  validation_data=(np.ones((50, 2)), np.ones((50, 1))),
                  callbacks=[Progress(lines.append, epochs=1, every=1e9)])
        assert "  20 rows/s  40 s" in lines[1]

    def test_share_is_known_once_an_epoch_was_seen(self):
        lines = []
        progress = Progress(lines.append, epochs=2, every=0)
        progress.set_params({"steps": None})
        progress.set_model(_model())
        for epoch in (0, 1):
            progress.on_epoch_begin(epoch)
            for step in range(2):
                progress.on_train_batch_end(step, {"loss": 12.5})
            progress.on_epoch_end(epoch, {"loss": 12.5})
        assert lines[0].startswith("epoch 1/2  step 1  loss 12.5  ")
        assert lines[3].startswith("epoch 2/2  50 %  loss 12.5  ")
