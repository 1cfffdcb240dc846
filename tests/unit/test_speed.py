import numpy as np
import pytest
import tensorflow as tf

from benchmarks import peers
from benchmarks.speed_log import SpeedLog
from benchmarks.speed_table import MEMORY, STREAM, best_peer, different_sizes, ratio, table, verdicts
from models.spec.errors import UserError
from tests.integration.conftest import REPOSITORY


def _rounds(*speeds, parameters=1000):
    return [{"rows_per_second": s, "parameters": parameters} for s in speeds]


CONTENDERS = {
    MEMORY: _rounds(90, 300, 100), STREAM: _rounds(80, 95, 85),
    "one": _rounds(50, 10, 999), "other": _rounds(80, 78, 70, parameters=1009)}


def test_the_best_peer_has_the_highest_median_not_the_highest_figure():
    assert best_peer(CONTENDERS) == "other"
    assert best_peer({name: CONTENDERS[name] for name in (MEMORY, STREAM)}) is None


def test_ratios_are_of_medians():
    assert ratio(CONTENDERS, STREAM, MEMORY) == pytest.approx(85 / 100)
    assert ratio(CONTENDERS, MEMORY, "other") == pytest.approx(100 / 78)


def test_the_table_and_the_verdicts():
    assert table({"autoint": CONTENDERS}).splitlines()[2:] == [
        f"| autoint | {MEMORY} | 1,000 | 100 | 90 to 300 | 1.28 |  |",
        f"| autoint | {STREAM} | 1,000 | 85 | 80 to 95 | 1.09 | 0.85 |",
        "| autoint | one | 1,000 | 50 | 10 to 999 | 0.64 |  |",
        "| autoint | other | 1,009 | 78 | 70 to 80 | 1.00 |  |"]
    assert verdicts({"autoint": CONTENDERS}) == (
        "* autoint: streaming within 10 % of in memory: no (0.85); in memory ahead of other, the best peer: yes "
        "(1.28); streamed ahead of other, the best peer: yes (1.09).")


def test_without_peers_there_is_nothing_to_be_ahead_of():
    alone = {MEMORY: _rounds(100), STREAM: _rounds(90)}
    assert table({"dcnv2": alone}).splitlines()[2] == f"| dcnv2 | {MEMORY} | 1,000 | 100 | 100 to 100 | – |  |"
    assert verdicts({"dcnv2": alone}) == "* dcnv2: streaming within 10 % of in memory: yes (0.90)."


def test_models_of_other_sizes_are_noticed():
    assert not different_sizes(CONTENDERS)
    assert different_sizes({**CONTENDERS, "small": _rounds(9, parameters=980)})


def test_a_synthetic_log_has_the_shape_of_movielens():
    log = SpeedLog.synthetic(rows=3000, seed=1)
    assert log.num_ids == {"user": 6041, "item": 3707, "gender": 3, "age": 8, "occupation": 22, "zip": 3440, "year": 82,
                           "genre": 19}
    for name, ids in log.columns.items():
        assert ids.min() >= 1 and ids.max() < log.num_ids[name] and len(ids) == 3000, name
    ages = {}
    assert all(ages.setdefault(u, a) == a for u, a in zip(log.columns["user"].tolist(), log.columns["age"].tolist()))
    assert 0.3 < log.label.mean() < 0.7
    counts = np.sort(np.bincount(log.columns["item"]))[::-1]
    assert counts[:370].sum() > 0.3 * 3000  # the popular tenth


def test_movielens_by_hand(tmp_path):
    (tmp_path / "users.dat").write_text("7::F::1::10::10001\n9::M::56::16::20002-1234\n")
    (tmp_path / "movies.dat").write_text("1::Copper: Moon (1991)::Action|Comedy\n2::Café (1989)::Drama\n", "latin-1")
    (tmp_path / "ratings.dat").write_text("9::2::5::970\n7::1::3::971\n7::1::2::972\n9::1::4::973\n")
    log = SpeedLog.movielens(tmp_path)
    assert log.label.tolist() == [1, 0, 1]
    # Ids follow the order of the values: "7" before "9", "F" before "M", 1989 before 1991, Action before Drama.
    assert {name: ids.tolist() for name, ids in log.columns.items()} == {
        "user": [2, 1, 2], "item": [2, 1, 1], "gender": [2, 1, 2], "age": [2, 1, 2], "occupation": [2, 1, 2],
        "zip": [2, 1, 2], "year": [1, 2, 2], "genre": [2, 1, 1]}
    assert log.num_ids["user"] == 3
    assert len(SpeedLog.movielens(tmp_path, rows=2).label) == 2


def test_both_files_hold_the_same_rows(tmp_path):
    log = SpeedLog({"user": np.array([1, 2, 3]), "item": np.array([4, 4, 5])}, np.array([0, 1, 0]))
    log.save(tmp_path / "log.npz")
    log.write_tfrecord(tmp_path / "log.gz")
    loaded = SpeedLog.load(tmp_path / "log.npz")
    assert list(loaded.columns) == ["user", "item"] and loaded.label.tolist() == [0, 1, 0]
    spec = {name: tf.io.FixedLenFeature([], tf.int64) for name in ("user", "item", "label")}
    (rows,) = tf.data.TFRecordDataset(str(tmp_path / "log.gz"), "GZIP").batch(9).map(
        lambda batch: tf.io.parse_example(batch, spec))
    assert {name: values.numpy().tolist() for name, values in rows.items()} == {
        "user": [1, 2, 3], "item": [4, 4, 5], "label": [0, 1, 0]}


def test_in_memory_every_pass_holds_every_row_once_in_another_order():
    from benchmarks.speed_ours import in_memory

    log = SpeedLog({"user": np.arange(1, 101)}, np.arange(1, 101) % 2)
    data = in_memory(log, batch_size=30)
    passes = []
    for _ in range(2):
        batches = list(data)
        assert [len(label) for _, label in batches] == [30, 30, 30, 10]
        for features, label in batches:
            assert (features["user"].numpy() % 2 == label.numpy()).all()
        passes.append(np.concatenate([features["user"].numpy() for features, _ in batches]).tolist())
    assert passes[0] != passes[1] != sorted(passes[1]) == list(range(1, 101)) == sorted(passes[0])


@pytest.mark.parametrize("peer", list(peers.PEERS))
def test_an_environment_is_ready_only_with_the_present_requirements(tmp_path, peer):
    assert not peers.is_ready(tmp_path, peer)
    with pytest.raises(UserError, match=f"no environment for {peer}.*no-such-python.*--python"):
        peers.install(tmp_path, peer, "no-such-python")
    home = tmp_path / peers.PEERS[peer]
    home.mkdir()
    wanted = (REPOSITORY / "benchmarks" / "peers" / f"{peers.PEERS[peer]}.txt").read_text(encoding="utf-8")
    (home / "installed.txt").write_text(wanted)
    assert peers.is_ready(tmp_path, peer)
    (home / "installed.txt").write_text(wanted + "more==1\n")
    assert not peers.is_ready(tmp_path, peer)
    for command in peers.commands(tmp_path, peer).values():
        assert command[0] == str(home / "bin" / "python") and (REPOSITORY / command[2]).is_file()
