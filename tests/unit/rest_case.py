"""A REST server on toy models, for its tests: stand-ins for what it is given, and a client."""

import base64
import contextlib
import http.client
import json
import math
import threading

import numpy as np
import tensorflow as tf

from models import raw_example
from serving.model_config import ModelConfig
from serving.model_manager import ModelManager
from serving.rest_server import RestServer
from serving.servable import Servable
from tests.unit import served_model

# 0.1 for each year, book and topic.
ROWS = [({"age": [3.0], "topics": [b"sea"]}, 0.4), ({}, 0.0), ({"age": [50.0], "lately": [b"b1", b"b2"]}, 5.2)]
EXAMPLES = [raw_example.encode(row) for row, _ in ROWS]
LOGITS = [logit for _, logit in ROWS]
CLICKS = 1 / (1 + np.exp(-np.array(LOGITS)))
INSTANCES = {"instances": [{"b64": base64.b64encode(e).decode()} for e in EXAMPLES]}
# The same rows, as a caller of Classify and Regress writes them.
FEATURES = {"examples": [
    {"age": 3.0, "topics": ["sea"]}, {}, {"age": [50.0], "lately": ["b1", {"b64": base64.b64encode(b"b2").decode()}]}]}
RANKED = {"signature_name": "rank_top_k", "inputs": {
    "k": 2, "reader": ["ann"], "age": [math.nan], "lately": [["b1", ""]], "book": ["x", "", "y"],
    "topics": [["a", ""], ["a", "b"], ["a", "b"]]}}
MAX_BODY = 1 << 16
LIMIT = 1.0


class Models:
    """What the server needs of the models: books, from a folder, and echo."""

    def __init__(self, books, echo):
        self._books, self._echo = books, echo

    def find(self, name, version=None, label=""):
        if name == "broken":
            raise ZeroDivisionError("of no interest to a client")
        return self._echo if name == "echo" and not label else self._books.find(name, version, label)

    def statuses(self, name, version=None, label=""):
        self.find(name)
        return self._books.statuses(name, version, label)


class Admission:
    """Lets all run, or raises what it was told to; tells of those inside, and can hold them."""

    def __init__(self, limit=LIMIT):
        self.limit = limit
        self.error = None
        self.inside = threading.Event()
        self.open = threading.Event()
        self.open.set()

    @contextlib.contextmanager
    def slot(self, seconds):
        assert 0 <= seconds <= self.limit
        if self.error:
            raise self.error
        self.inside.set()
        self.open.wait()
        yield


class Client:
    """A connection that is kept."""

    def __init__(self, port, **options):
        kind = http.client.HTTPSConnection if options else http.client.HTTPConnection
        self._connection = kind("127.0.0.1", port, timeout=20, **options)

    def ask(self, method, path, body=None, headers=()):
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        self._connection.request(method, path, data, dict(headers))
        response = self._connection.getresponse()
        self.headers = response.headers
        return response.status, response.read()

    def json(self, method, path, body=None):
        status, text = self.ask(method, path, body)
        return status, json.loads(text)

    def close(self):
        self._connection.close()


def _export_echo(folder):
    """A model that gives back what it gets, with outputs of every kind."""
    module = tf.Module()
    columns = {"age": tf.TensorSpec([None], tf.float32, name="age"),
               "topics": tf.TensorSpec([None, None], tf.string, name="topics")}

    def echo(age, topics):
        return {"age": age, "raw_bytes": topics[:, 0], "topics": topics}

    tf.saved_model.save(module, str(folder), signatures={
        "serving_default": tf.function(lambda text: {"text": text}).get_concrete_function(
            tf.TensorSpec([None], tf.string, name="text")),
        "columns": tf.function(echo).get_concrete_function(**columns)})


def export(folder):
    """Writes both models, loads them, and returns them as the server takes them."""
    served_model.export(folder / "books" / "7", 0.0)
    _export_echo(folder / "echo")
    books = ModelManager([ModelConfig("books", str(folder / "books"))])
    books.load()
    return Models(books, Servable(str(folder / "echo"), 1))


def server(models, admission, metrics, **options):
    """A server on a free port with small limits."""
    options = {"port": 0, "max_body_bytes": MAX_BODY, "timeout_seconds": LIMIT, **options}
    return RestServer(models, admission, metrics, **options)
