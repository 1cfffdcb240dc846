import pytest

from benchmarks.scale import capacity
from benchmarks.scale.table import exponent, memory_target, plot, render, time_target


def figures(seconds, cpu, peak, written=0):
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak, "written_bytes": written, "loaded_bytes": 8e8}


RESULTS = {
    1000: {"log": figures(1, 1, 1e8, 1e5), "ExampleGen": figures(10, 10, 1e9, 5e4),
           "PlainTrainer": figures(20, 30, 2e9, 0), "Pusher": figures(0.1, 0.1, 1e9, 10)},
    10_000: {"log": figures(2, 2, 1e8, 1e6), "ExampleGen": figures(100, 190, 1.1e9, 5e5),
             "PlainTrainer": figures(400, 390, 2.5e9, 0), "Pusher": figures(2, 0.1, 1e9, 10)},
}


@pytest.mark.parametrize(("values", "slope"), [([2, 20, 200], 1), ([1, 100, 10_000], 2), ([5, 5, 5], 0)])
def test_exponent_of_a_power(values, slope):
    assert exponent([10, 100, 1000], values) == pytest.approx(slope)


def test_targets_are_of_the_last_step():
    # 10.5 times the time for 10 times the rows; what takes 2 s has no target.
    assert time_target(RESULTS) == {"ExampleGen": True, "PlainTrainer": False}
    assert memory_target(RESULTS) == {"ExampleGen": True, "PlainTrainer": False, "Pusher": True}
    assert time_target({1000: RESULTS[1000]}) == {}


def test_tables_show_figures_growth_and_verdict():
    text = render(RESULTS, "python -m benchmarks.scale", "2 CPU cores", {"seed": 1}, ["a=1"], False, "scale.svg")
    assert "| ExampleGen | 10.0 | 100.0 | 1.00 | × 10.00 | yes |" in text
    assert "| PlainTrainer | 20.0 | 400.0 | 1.30 | × 20.00 | **no** |" in text
    assert "| PlainTrainer | 2.00 | 2.50 | 0.10 | × 1.25 | **no** |" in text
    assert "| log | 0.1 | 1.0 | 1.00 | × 10.00 |" in text
    assert "smoke" not in text and "`a=1`" in text


def test_the_plot_is_an_svg(tmp_path):
    pytest.importorskip("altair", reason="altair draws the plot")
    pytest.importorskip("vl_convert", reason="altair needs vl-convert to write SVG")
    plot(RESULTS, tmp_path / "scale.svg")
    text = (tmp_path / "scale.svg").read_text()
    assert text.startswith("<svg") and "PlainTrainer" in text


def test_a_row_costs_what_the_last_sizes_differ_by():
    cost = capacity.costs(RESULTS)
    assert cost["ExampleGen"] == capacity.Cost(
        seconds=0.01, cpu_seconds=0.02, written_bytes=50.0, peak_bytes=pytest.approx(1e8 / 9000))
    assert cost["Pusher"].cpu_seconds == 0


def test_the_plan_multiplies_it_by_a_billion():
    text = capacity.render(RESULTS, "2 CPU cores", "scale.md", smoke=False)
    # 0.02 s a row: 20,000 s a million, 5,555.6 hours a day, in 4 hours 86.8 machines of 16 cores.
    assert "| ExampleGen | 20,000.00 | 5,555.6 | 2,777.8 | 87 | Beam workers |" in text
    # 100 bytes a row of the log: 100 GB a day.
    assert "| the log itself, as CSV | 100.0 | 100 GB | 700 GB |" in text
    assert "All components of Beam together take\n**5,556 CPU hours** a day, 87 workers" in text
    # 1e8 bytes for 9,000 rows more, and 1e9 rows.
    assert "ExampleGen would need 11,112 GB" in text
    assert "**PlainTrainer** first, with 11,728 hours." in text
    assert "GPUs by `tf.distribute`; or `plain_backbone: false`" in text
