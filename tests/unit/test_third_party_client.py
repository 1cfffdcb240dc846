"""Public clients of TF Serving, as they are, get our server's predictions.

Each runs in a process of its own: its generated messages and TensorFlow Serving's cannot share one.
"""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from models import raw_example
from tests.unit import served_model

# Reads the port, the hexadecimal examples and a signature; prints the probabilities.
_SERVING_UTILS = """
import asyncio, json, sys
import numpy as np
from serving_utils import Client

port, examples, columns = json.loads(sys.argv[1])
loop = asyncio.new_event_loop()
client = Client(host="127.0.0.1", port=port, n_trys=1, loop=loop)
inputs = {"examples": np.array([bytes.fromhex(e) for e in examples], dtype=object)}
asked = {"output_names": ["probability"], "model_name": "books"}
columns = {name: np.array(values, np.int32 if name == "k" else None) for name, values in columns.items()}
columns["age"] = columns["age"].astype(np.float32)
print(json.dumps([
    client.predict(inputs, **asked)["probability"].tolist(),
    loop.run_until_complete(client.async_predict(inputs, **asked))["probability"].tolist(),
    client.predict(columns, model_name="books", model_signature_name="rank_top_k")["index"].tolist()]))
"""
_MIN_TFS_CLIENT = """
import json, sys
import numpy as np
from min_tfs_client.requests import TensorServingClient
from min_tfs_client.tensors import tensor_proto_to_ndarray

port, examples, _ = json.loads(sys.argv[1])
client = TensorServingClient("127.0.0.1", port)
inputs = {"examples": np.array([bytes.fromhex(e).decode() for e in examples])}
answers = [client.predict_request("books", inputs), client.predict_request("books", inputs, model_version=1)]
print(json.dumps([tensor_proto_to_ndarray(a.outputs["probability"]).tolist() for a in answers]))
assert not hasattr(sys.modules["tensorflow"], "__version__")
"""
EXAMPLES = [
    raw_example.encode({"age": [3.0], "topics": [b"sea"], "book": ["ünï".encode()]}),
    raw_example.encode({"age": [2.0], "lately": [b"b1"]}),
]
COLUMNS = {
    "reader": ["r1"], "age": [3.0], "lately": [["b1", "b2"]],
    "book": ["b1", "b2", "b3"], "topics": [["", ""], ["sea", "war"], ["sea", ""]], "k": 2}


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    folder = tmp_path_factory.mktemp("books")
    served_model.export(folder / "1", 0.0)
    server = served_model.server(folder)
    yield server.start()
    server.stop(grace=1.0)


def _installed(package, how):
    spec = importlib.util.find_spec(package)
    if spec is None:
        pytest.skip(f"{package} is not installed: {how}")
    return spec.submodule_search_locations[0]


def _run(code, port, *options, **environment):
    asked = json.dumps([port, [example.hex() for example in EXAMPLES], COLUMNS])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *options, "-c", code, asked],
        capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _sigmoid(x):
    return 1 / (1 + np.exp(-np.array(x)))


def test_serving_utils(port):
    _installed("serving_utils", "pip install --no-deps serving-utils==0.10.0")
    blocking, awaited, ranked = _run(_SERVING_UTILS, port)
    # 0.1 for each year, book read and topic.
    np.testing.assert_allclose([blocking, awaited], [_sigmoid([0.4, 0.3])] * 2, atol=1e-6)
    assert ranked == [1, 2]


def test_min_tfs_client(port, tmp_path):
    folder = pathlib.Path(_installed(
        "min_tfs_client", "pip install --no-deps --target DIR min-tfs-client==1.0.2, and DIR on PYTHONPATH")).parent
    # It brings a `tensorflow` of its own, which the real one would hide: it sees no more than what it needs.
    for package in ("google", "grpc", "numpy", "typing_extensions"):
        spec = importlib.util.find_spec(package)
        place = pathlib.Path(spec.submodule_search_locations[0] if spec.submodule_search_locations else spec.origin)
        (tmp_path / place.name).symlink_to(place)
    answers = _run(_MIN_TFS_CLIENT, port, "-S", PYTHONPATH=os.pathsep.join([str(folder), str(tmp_path)]))
    np.testing.assert_allclose(answers, [_sigmoid([0.4, 0.3])] * 2, atol=1e-6)
