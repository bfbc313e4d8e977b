"""Writes the GGUF file from a training checkpoint, and golden logits from that file.

Usage: python3 export.py --vocab vocab.json --checkpoint run/checkpoint.pt [--out .]
"""

import argparse
import os
import struct

import numpy as np
import torch

import gguf
from chat import render
from model import Config
from tokenizer import CONTROL, DEFINED, Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN_CHAT = [
    {"role": "user", "content": "My name is Ada."},
    {"role": "assistant", "content": "Nice to meet you, Ada!"},
    {"role": "user", "content": "What is my name?"},
]


def metadata(config, tokenizer, template):
    """The GGUF metadata of the model."""
    types = [3 if t in CONTROL else 4 if t in DEFINED else 1 for t in tokenizer.tokens]
    g, s = gguf, gguf.STRING
    return [
        ("general.architecture", s, "llama"), ("general.type", s, "model"), ("general.name", s, "Firstlight Tiny"),
        ("general.license", s, "mit"), ("general.description", s, "A very small chat model for trying the Firstlight server."),
        ("general.file_type", g.U32, 7), ("general.quantization_version", g.U32, 2), ("general.alignment", g.U32, g.ALIGNMENT),
        ("llama.vocab_size", g.U32, config.vocab), ("llama.context_length", g.U32, config.context),
        ("llama.embedding_length", g.U32, config.hidden), ("llama.block_count", g.U32, config.layers),
        ("llama.feed_forward_length", g.U32, config.ffn), ("llama.attention.head_count", g.U32, config.heads),
        ("llama.attention.head_count_kv", g.U32, config.kv_heads), ("llama.attention.key_length", g.U32, config.head_dim),
        ("llama.attention.value_length", g.U32, config.head_dim), ("llama.attention.layer_norm_rms_epsilon", g.FLOAT, config.eps),
        ("llama.rope.dimension_count", g.U32, config.head_dim), ("llama.rope.freq_base", g.FLOAT, config.theta),
        ("tokenizer.ggml.model", s, "gpt2"), ("tokenizer.ggml.pre", s, "gpt-2"),
        ("tokenizer.ggml.tokens", (g.ARRAY, s), tokenizer.tokens), ("tokenizer.ggml.token_type", (g.ARRAY, g.I32), types),
        ("tokenizer.ggml.merges", (g.ARRAY, s), [" ".join(m) for m in tokenizer.merges]),
        ("tokenizer.ggml.bos_token_id", g.U32, tokenizer.pad), ("tokenizer.ggml.eos_token_id", g.U32, tokenizer.end),
        ("tokenizer.ggml.padding_token_id", g.U32, tokenizer.pad), ("tokenizer.ggml.add_bos_token", g.BOOL, False),
        ("tokenizer.ggml.add_eos_token", g.BOOL, False), ("tokenizer.chat_template", s, template),
    ]  # fmt: skip


def tensor_list(weights, layers):
    """Tensors in llama.cpp's order and names; our module names differ only by '.weight'."""
    names = ["token_embd.weight"]
    for i in range(layers):
        parts = "attn_norm attn_q attn_k attn_v attn_output ffn_norm ffn_gate ffn_up ffn_down".split()
        names += [f"blk.{i}.{p}.weight" for p in parts]
    return [(n, weights[n].float().numpy()) for n in [*names, "output_norm.weight"]]


def reference_logits(meta, tensors, ids):
    """The forward pass in float64 from the dequantised weights."""
    w = {k: v.astype(np.float64) for k, v in tensors.items()}
    heads, kv, size = (meta["llama." + k] for k in ("attention.head_count", "attention.head_count_kv", "rope.dimension_count"))
    eps, theta, n = meta["llama.attention.layer_norm_rms_epsilon"], meta["llama.rope.freq_base"], len(ids)
    angle = np.arange(n)[:, None] * theta ** (-np.arange(0, size, 2) / size)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]

    def norm(x, gain):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * gain

    def rotate(x):
        even, odd = x[..., 0::2], x[..., 1::2]
        return np.stack((even * cos - odd * sin, even * sin + odd * cos), -1).reshape(x.shape)

    x = w["token_embd.weight"][ids]
    mask = np.triu(np.full((n, n), -np.inf), 1)
    for i in range(meta["llama.block_count"]):
        p = lambda name: w[f"blk.{i}.{name}.weight"]
        h = norm(x, p("attn_norm"))
        q = rotate((h @ p("attn_q").T).reshape(n, heads, size))
        k = np.repeat(rotate((h @ p("attn_k").T).reshape(n, kv, size)), heads // kv, 1)
        v = np.repeat((h @ p("attn_v").T).reshape(n, kv, size), heads // kv, 1)
        scores = np.einsum("ihd,jhd->hij", q, k) / size**0.5 + mask
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        x = x + np.einsum("hij,jhd->ihd", scores, v).reshape(n, -1) @ p("attn_output").T
        h = norm(x, p("ffn_norm"))
        gate = h @ p("ffn_gate").T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ p("ffn_up").T)) @ p("ffn_down").T
    return norm(x, w["output_norm.weight"]) @ w["token_embd.weight"].T


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vocab", required=True)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--out", default=HERE)
    args = parser.parse_args()
    state = torch.load(args.checkpoint, map_location="cpu")
    config, tokenizer = Config(**state["config"]), Tokenizer.load(args.vocab)
    with open(os.path.join(HERE, "chat-template.jinja"), encoding="utf-8") as f:
        template = f.read()
    path = os.path.join(args.out, "firstlight-tiny.gguf")
    gguf.write(path, metadata(config, tokenizer, template), tensor_list(state["mean"], config.layers))
    meta, tensors = gguf.read(path)
    ids = tokenizer.encode("".join(text for text, _ in render(GOLDEN_CHAT)))
    logits = reference_logits(meta, tensors, ids)
    with open(os.path.join(args.out, "golden.logits"), "wb") as f:
        f.write(b"LGT1" + struct.pack("<II", len(ids), config.vocab))
        f.write(np.array(ids, "<i4").tobytes() + logits.astype("<f4").tobytes())
    print(path, os.path.getsize(path), "bytes;", len(ids), "golden positions;", state["at"])


if __name__ == "__main__":
    main()
