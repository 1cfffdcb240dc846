"""What the benchmark of serving asks for, as requests of real rows."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence

from models.spec.dataset_spec import DatasetSpec
from serving import request_tensors, rows, wire
from serving.predict_calls import INDEX, PROBABILITY, PredictCalls
from serving.row_reader import RowReader
from serving.signature_names import DEFAULT, ITEM, PREDICT_COLUMNS, RANK_TOP_K

CANDIDATES = 500
BEST = 10
Row = Mapping[str, object]


@dataclasses.dataclass(frozen=True)
class ServingCase:
    """One question to the server, and the form in which it is asked.

    Args:
        name: as tables show it.
        signature: which answers.
        rows: in a request.
        calls: requests one after the other that answer the question; more than one is the naive way.
        one_user: whether all rows of a request are of one user and context: the items of 500 rows
            are put beside what the first row says of the user.

    Example:

    ```python
    case = CASES["rank"]
    request = case.request(spec, "ctr", log_rows, number=3)
    ```
    """

    name: str
    signature: str
    rows: int
    calls: int = 1
    one_user: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """What is asked for."""
        return (INDEX, PROBABILITY) if self.signature == RANK_TOP_K else (PROBABILITY,)

    @property
    def answers(self) -> int:
        """Values in each output."""
        return min(BEST, self.rows) if self.signature == RANK_TOP_K else self.rows

    def log_rows(self, spec: DatasetSpec, log: Sequence[Row], number: int) -> list[Row]:
        """The rows of the request of this number, in turn from the log."""
        start = number * self.rows
        chosen = [log[(start + i) % len(log)] for i in range(self.rows)]
        if not self.one_user:
            return chosen
        of_item = {f.row_column for f in spec.model_features if f.side == ITEM}
        user = {column: value for column, value in chosen[0].items() if column not in of_item}
        return [{**row, **user} for row in chosen]

    def request(self, spec: DatasetSpec, model: str, chosen: Sequence[Row]) -> wire.PredictRequest:
        """The request of some rows, put together by the client's own parts."""
        calls = PredictCalls("", model, batch_size=self.rows)
        if self.signature == DEFAULT:
            (request,) = calls.of_examples(rows.to_examples(spec, [("the row", row) for row in chosen]))
            return request
        if self.signature == RANK_TOP_K:
            return calls.of_ranking(spec, chosen[0], chosen, BEST, ())
        request = wire.PredictRequest(output_filter=self.outputs)
        request.model_spec.name = model
        request.model_spec.signature_name = self.signature
        reader = RowReader(spec)
        request_tensors.add_columns(request, spec.model_features, [reader.values(row) for row in chosen])
        return request

    def read(self, response: bytes) -> dict[str, list[float]]:
        """The values of an answer.

        Raises:
            RuntimeError: there are not as many as were asked for.
        """
        answer = wire.PredictResponse.FromString(response)
        found = {name: request_tensors.numbers(answer.outputs[name]).tolist() for name in self.outputs}
        if any(len(values) != self.answers for values in found.values()):
            raise RuntimeError(f"{self.name}: {self.answers} values were asked for; the answer is {found}")
        return found

    def client_seconds(self, spec: DatasetSpec, model: str, log: Sequence[Row], response: bytes, count: int) -> (
            list[float]):
        """What a client spends on each of `count` questions beside waiting: from rows to bytes, and from bytes to
        values."""
        found = []
        for number in range(count):
            chosen = self.log_rows(spec, log, number)
            started = time.perf_counter()
            for _ in range(self.calls):
                self.request(spec, model, chosen).SerializeToString()
                self.read(response)
            found.append(time.perf_counter() - started)
        return found


CASES = {
    "row": ServingCase("1 row, Example", DEFAULT, 1),
    "row_columns": ServingCase("1 row, columns", PREDICT_COLUMNS, 1),
    "hundred": ServingCase("100 rows, Examples", DEFAULT, 100),
    "hundred_columns": ServingCase("100 rows, columns", PREDICT_COLUMNS, 100),
    "rank": ServingCase(f"best {BEST} of {CANDIDATES}, `rank_top_k`", RANK_TOP_K, CANDIDATES, one_user=True),
    "naive_hundred": ServingCase("naive: 100 rows as 100 requests", DEFAULT, 1, calls=100),
    "naive_rank": ServingCase(f"naive: {CANDIDATES} items as Examples", DEFAULT, CANDIDATES, one_user=True),
    "naive_rank_columns": ServingCase(f"naive: {CANDIDATES} items as columns", PREDICT_COLUMNS, CANDIDATES,
                                      one_user=True),
}
