"""Where a served model keeps the specification of its dataset; free of TensorFlow, for the command."""

import os

SPEC_FILE = os.path.join("assets.extra", "dataset.json")
