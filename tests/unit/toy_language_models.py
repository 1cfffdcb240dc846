"""Language models of all four families, small enough for a test, and what they should compute."""

import io
import json
import math
import string

import keras_hub
import numpy as np
import sentencepiece
from safetensors.numpy import save_file

WIDTH, INNER, HEADS, LENGTH, NARROW = 8, 16, 2, 40, 4
_WORDS = ("this", "is", "a", "user", "movie", "title", "red", "lamp", "old", "kettle")
_SIZES = {"num_layers": 1, "num_heads": HEADS, "hidden_dim": WIDTH, "intermediate_dim": INNER,
          "max_sequence_length": LENGTH}
# Where Hugging Face keeps the parts of an encoder layer.
_BERT_LAYER = ("encoder.layer.0.", "attention.self.query", "attention.self.key", "attention.self.value",
               "attention.output.dense", "attention.output.LayerNorm", "intermediate.dense", "output.dense",
               "output.LayerNorm")
_LAYER = {
    "bert": _BERT_LAYER,
    "roberta": _BERT_LAYER,
    "distilbert": ("transformer.layer.0.", "attention.q_lin", "attention.k_lin", "attention.v_lin",
                   "attention.out_lin", "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm"),
    "albert": ("encoder.albert_layer_groups.0.albert_layers.0.", "attention.query", "attention.key",
               "attention.value", "attention.dense", "attention.LayerNorm", "ffn", "ffn_output",
               "full_layer_layer_norm"),
}


def tokenizer(family):
    """The family's kind of tokenizer, with a vocabulary of characters (bytes) and a few words."""
    if family == "roberta":
        vocabulary, merges = _byte_pairs()
        return keras_hub.models.RobertaTokenizer(vocabulary, merges)
    if family == "albert":
        return keras_hub.models.AlbertTokenizer(_sentence_piece())
    cls = keras_hub.models.BertTokenizer if family == "bert" else keras_hub.models.DistilBertTokenizer
    return cls(_word_pieces(), lowercase=True)


def backbone(family, vocabulary_size):
    """An encoder of one layer with random weights."""
    if family == "albert":
        return keras_hub.models.AlbertBackbone(vocabulary_size, embedding_dim=NARROW, **_SIZES)
    cls = {"bert": keras_hub.models.BertBackbone, "roberta": keras_hub.models.RobertaBackbone,
           "distilbert": keras_hub.models.DistilBertBackbone}[family]
    return cls(vocabulary_size, **_SIZES)


def write_keras_hub(folder, family):
    """Writes a language model in keras-hub's layout; returns the folder."""
    folder.mkdir(parents=True)
    tokens = tokenizer(family)
    backbone(family, tokens.vocabulary_size()).save_to_preset(str(folder))
    tokens.save_to_preset(str(folder))
    return folder


def write_hugging_face(folder, family, prefix=True):
    """Writes a language model without pooler in Hugging Face's layout; returns its weights by name."""
    folder.mkdir(parents=True)
    size = tokenizer(family).vocabulary_size()
    if family == "roberta":
        vocabulary, merges = _byte_pairs()
        (folder / "vocab.json").write_text(json.dumps(vocabulary))
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    elif family == "albert":
        (folder / "spiece.model").write_bytes(_sentence_piece())
    else:
        (folder / "vocab.txt").write_text("\n".join(_word_pieces()))
        (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    # RoBERTa leaves the first two positions unused; the others of BERT's converter are fixed to 512.
    positions = {"bert": 512, "roberta": LENGTH + 2}.get(family, LENGTH)
    config = {
        "model_type": family, "vocab_size": size, "num_hidden_layers": 1, "num_attention_heads": HEADS,
        "hidden_size": WIDTH, "intermediate_size": INNER, "max_position_embeddings": positions,
        "hidden_dropout_prob": 0.1, "type_vocab_size": 1 if family == "roberta" else 2}
    if family == "distilbert":
        config |= {"n_layers": 1, "n_heads": HEADS, "dim": WIDTH, "hidden_dim": INNER, "dropout": 0.1}
    if family == "albert":
        config |= {"embedding_size": NARROW, "num_hidden_groups": 1, "inner_group_num": 1,
                   "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))

    generator = np.random.default_rng(7)
    weights = {}

    def add(name, *shape):
        weights[name] = generator.normal(0, 0.5, shape).astype("float32")

    def linear(name, inputs, outputs):
        add(f"{name}.weight", outputs, inputs)
        add(f"{name}.bias", outputs)

    def norm(name, width=WIDTH):
        add(f"{name}.weight", width)
        add(f"{name}.bias", width)

    width = NARROW if family == "albert" else WIDTH
    add("embeddings.word_embeddings.weight", size, width)
    add("embeddings.position_embeddings.weight", positions, width)
    if family != "distilbert":
        add("embeddings.token_type_embeddings.weight", config["type_vocab_size"], width)
    norm("embeddings.LayerNorm", width)
    if family == "albert":
        linear("encoder.embedding_hidden_mapping_in", NARROW, WIDTH)
    block, *parts = _LAYER[family]
    query, key, value, output, first_norm, inner, outer, second_norm = (block + part for part in parts)
    for name in (query, key, value, output):
        linear(name, WIDTH, WIDTH)
    linear(inner, WIDTH, INNER)
    linear(outer, INNER, WIDTH)
    norm(first_norm)
    norm(second_norm)
    save_file({(f"{family}." if prefix else "") + n: w for n, w in weights.items()}, folder / "model.safetensors")
    return weights


def mean_hidden_state(family, weights, token_ids):
    """What the model of `write_hugging_face` makes of one text: the mean of its last hidden states."""
    block, *parts = _LAYER[family]
    query, key, value, output, first_norm, inner, outer, second_norm = (block + part for part in parts)

    def linear(name, x):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name, x):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    first = 2 if family == "roberta" else 0
    x = weights["embeddings.word_embeddings.weight"][token_ids]
    x = x + weights["embeddings.position_embeddings.weight"][first:first + len(token_ids)]
    if family != "distilbert":
        x = x + weights["embeddings.token_type_embeddings.weight"][0]
    x = norm("embeddings.LayerNorm", x)
    if family == "albert":
        x = linear("encoder.embedding_hidden_mapping_in", x)
    heads = []
    for q, k, v in zip(*(np.split(linear(n, x), HEADS, axis=-1) for n in (query, key, value)), strict=True):
        scores = np.exp(q @ k.T / math.sqrt(WIDTH // HEADS))
        heads.append(scores / scores.sum(-1, keepdims=True) @ v)
    x = norm(first_norm, x + linear(output, np.concatenate(heads, axis=-1)))
    h = linear(inner, x)
    if family == "albert":
        h = 0.5 * h * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h ** 3)))
    else:
        h = 0.5 * h * (1 + np.vectorize(math.erf)(h / math.sqrt(2)))
    return norm(second_norm, x + linear(outer, h)).mean(0)


def _word_pieces():
    characters = string.ascii_lowercase + string.digits
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *",.", *(f"##{c}" for c in characters)]
    return list(dict.fromkeys([*pieces, *_WORDS]))


def _byte_pairs():
    # As Hugging Face writes them: a printable character stands for each byte, Ġ for a space.
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    characters = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    merges, tokens = ["Ġ r", "Ġr e", "Ġre d", "Ġ l", "a m", "Ġl am"], ["<s>", "<pad>", "</s>", "<unk>", *characters]
    tokens += [merge.replace(" ", "") for merge in merges]
    return {token: i for i, token in enumerate([*tokens, "<mask>"])}, merges


def _sentence_piece():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(_WORDS), string.ascii_lowercase, "0123456789 , ."]), model_writer=model,
        vocab_size=60, hard_vocab_limit=False, pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, pad_piece="<pad>",
        control_symbols=["[CLS]", "[SEP]", "[MASK]"], minloglevel=2)
    return model.getvalue()
