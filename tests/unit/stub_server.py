"""A server for the tests of the clients, without a model and without TensorFlow."""

import threading
from concurrent import futures

import grpc

from serving import wire


class StubServer:
    """Answers each example with its length, as float values: a stock server may send those.

    Args:
        unavailable: the first so many calls get UNAVAILABLE.
        delay: seconds before an answer.
        together: so many calls must have come before the first is answered.
        values: what is answered in place of the lengths.
        credentials: of a server with TLS.
    """

    def __init__(self, *, unavailable=0, delay=0.0, together=1, values=None, credentials=None):
        self.requests, self.peers, self.cancelled = [], set(), threading.Event()
        self._unavailable, self._delay, self._values = unavailable, delay, values
        self._barrier = threading.Barrier(together)
        self._server = grpc.server(futures.ThreadPoolExecutor(together + 1))
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(
            "tensorflow.serving.PredictionService", {"Predict": grpc.unary_unary_rpc_method_handler(
                self._predict, wire.PredictRequest.FromString, wire.PredictResponse.SerializeToString)})])
        port = (self._server.add_insecure_port("127.0.0.1:0") if credentials is None
                else self._server.add_secure_port("127.0.0.1:0", credentials))
        self.target = f"127.0.0.1:{port}"

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(None).wait()

    def _predict(self, request, context):
        self.requests.append(request)
        self.peers.add(context.peer())
        if len(self.requests) <= self._unavailable:
            context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")
        over = threading.Event()
        # A call that was answered is over too.
        context.add_callback(over.set)
        if over.wait(self._delay):
            self.cancelled.set()
        self._barrier.wait(20)
        response = wire.PredictResponse()
        if "k" in request.inputs:
            count = request.inputs["k"].int_val[0]
            response.outputs["index"].dtype = wire.DT_INT32
            response.outputs["index"].int_val.extend(range(count))
            values = [0.5] * count
        else:
            values = map(len, request.inputs["examples"].string_val)
        response.outputs["probability"].dtype = wire.DT_FLOAT
        response.outputs["probability"].float_val.extend(values if self._values is None else self._values)
        return response
