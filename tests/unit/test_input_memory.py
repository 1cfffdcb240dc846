"""Reading does not take more memory for more rows."""

import pathlib
import subprocess
import sys

import tensorflow as tf

ROWS, TIMES = 40_000, 8
_READ = """
import resource, sys
import tensorflow as tf
from models.input_pipeline import make_dataset

spec = {"label": tf.io.FixedLenFeature([], tf.int64), "text": tf.io.FixedLenFeature([], tf.string)}

def read(files):
    data = make_dataset(files, spec, 512, shuffle_buffer=4096, seed=1)
    return sum(int(tf.size(label)) for _, label in data)

few, all_files = sys.argv[1:2], sys.argv[1:]
rows = [read(few)]
peak = [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]
rows.append(read(all_files))
peak.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(*rows, peak[1] - peak[0])
"""


def test_eight_times_the_rows_take_the_same_memory(tmp_path):
    # 300 bytes a row that do not compress away: 12 MB a file, as read.
    text = tf.random.Generator.from_seed(1).uniform([ROWS * 75], minval=None, maxval=None, dtype=tf.int32)
    text = text.numpy().tobytes()
    first = tmp_path / "part-0.gz"
    with tf.io.TFRecordWriter(str(first), "GZIP") as writer:
        for row in range(ROWS):
            writer.write(tf.train.Example(features=tf.train.Features(feature={
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[row % 2])),
                "text": tf.train.Feature(bytes_list=tf.train.BytesList(value=[text[row * 300:(row + 1) * 300]])),
            })).SerializeToString())
    files = [str(first)]
    for i in range(1, TIMES):
        files.append(str(tmp_path / f"part-{i}.gz"))
        pathlib.Path(files[-1]).symlink_to(first)
    found = subprocess.run(
        [sys.executable, "-c", _READ, *files], cwd=pathlib.Path(__file__).parents[2], check=True, text=True,
        capture_output=True)
    few, many, grown = map(int, found.stdout.split())
    assert (few, many) == (ROWS, TIMES * ROWS)
    # The rows that were added are 84 MB; four files are open at a time in place of one.
    assert grown / 1024 < 40, f"{grown / 1024:.0f} MiB more"
