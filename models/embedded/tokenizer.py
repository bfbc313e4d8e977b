"""Byte-level BPE in GPT-2's form: training with letter-friendly limits, and encoding."""

import json
import unicodedata
from collections import Counter

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
DEFINED = [
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
]
CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")


def byte_alphabet():
    """GPT-2's printable stand-in for each byte value."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {}, 0
    for b in range(256):
        if b in keep:
            table[b] = chr(b)
        else:
            table[b] = chr(256 + extra)
            extra += 1
    return table


ALPHABET = byte_alphabet()


def _kind(ch):
    if ch.isspace():
        return "s"
    major = unicodedata.category(ch)[0]
    return {"L": "l", "N": "n"}.get(major, "o")


def pretokens(text):
    """Splits text as GPT-2's regular expression does."""
    out, i, n = [], 0, len(text)
    while i < n:
        if text[i] == "'":
            hit = next((c for c in CONTRACTIONS if text.startswith(c, i)), None)
            if hit:
                out.append(hit)
                i += len(hit)
                continue
        kind = _kind(text[i])
        start = i
        if text[i] == " " and i + 1 < n and _kind(text[i + 1]) != "s":
            i += 1
            kind = _kind(text[i])
        if kind != "s":
            while i < n and _kind(text[i]) == kind:
                i += 1
        else:
            while i < n and _kind(text[i]) == "s":
                i += 1
            if i < n and i - start > 1:
                i -= 1
        out.append(text[start:i])
    return out


def may_merge(token):
    """No digits; letters only join after a space or a capital, so quoted words stay letters."""
    body = token[1:] if token[0] == "Ġ" else token
    if any(c.isdigit() for c in token):
        return False
    return token[0] == "Ġ" or not body[0].islower()


def train(counts, size):
    """Learns merges from pre-token counts until the vocabulary has `size` tokens."""
    words = {}
    for text, n in counts.items():
        units = tuple(ALPHABET[b] for b in text.encode())
        words[units] = words.get(units, 0) + n
    merges, tokens = [], [ALPHABET[b] for b in range(256)]
    goal = size - len(CONTROL) - len(DEFINED)
    while len(tokens) < goal:
        pairs = Counter()
        for units, n in words.items():
            for pair in zip(units, units[1:]):
                pairs[pair] += n
        legal = [(n, p) for p, n in pairs.items() if n > 1 and may_merge(p[0] + p[1])]
        if not legal:
            break
        best = max(legal)[1]
        joined = best[0] + best[1]
        merges.append(best)
        tokens.append(joined)
        words = {_apply(units, best, joined): n for units, n in words.items()}
    return tokens + CONTROL + DEFINED, merges


def _apply(units, pair, joined):
    if pair[0] not in units:
        return units
    out, i = [], 0
    while i < len(units):
        if i + 1 < len(units) and units[i] == pair[0] and units[i + 1] == pair[1]:
            out.append(joined)
            i += 2
        else:
            out.append(units[i])
            i += 1
    return tuple(out)


class Tokenizer:
    """Encodes and decodes with a trained vocabulary."""

    def __init__(self, tokens, merges):
        self.tokens, self.merges = tokens, [tuple(m) for m in merges]
        self.ids = {t: i for i, t in enumerate(tokens)}
        self.rank = {m: i for i, m in enumerate(self.merges)}
        self.special = CONTROL + DEFINED
        self.end = self.ids["<|im_end|>"]
        self.pad = self.ids["<|endoftext|>"]
        self.bytes = {c: b for b, c in ALPHABET.items()}
        self.cache = {}

    @classmethod
    def load(cls, path):
        with open(path, encoding="utf-8") as f:
            data = json.load(f)
        return cls(data["tokens"], data["merges"])

    def save(self, path):
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"tokens": self.tokens, "merges": self.merges}, f, ensure_ascii=False)

    def _bpe(self, text):
        units = [ALPHABET[b] for b in text.encode()]
        while len(units) > 1:
            ranked = [(self.rank.get(p, 1 << 30), p) for p in zip(units, units[1:])]
            rank, pair = min(ranked)
            if rank == 1 << 30:
                break
            units = list(_apply(tuple(units), pair, pair[0] + pair[1]))
        return [self.ids[u] for u in units]

    def encode_plain(self, text):
        """Ids of text in which special tokens are not recognised."""
        out = []
        for piece in pretokens(text):
            ids = self.cache.get(piece)
            if ids is None:
                ids = self._bpe(piece)
                if len(self.cache) < 300000:
                    self.cache[piece] = ids
            out += ids
        return out

    def encode(self, text):
        """Ids of text, special tokens recognised."""
        out, i = [], 0
        while i < len(text):
            found = [(text.find(s, i), s) for s in self.special if text.find(s, i) >= 0]
            at, name = min(found) if found else (len(text), None)
            out += self.encode_plain(text[i:at])
            i = at
            if name:
                out.append(self.ids[name])
                i += len(name)
        return out

    def decode(self, ids):
        """Text of ids; special tokens come out by name."""
        data = b""
        for i in ids:
            t = self.tokens[i]
            data += t.encode() if t in self.special else bytes(self.bytes[c] for c in t)
        return data.decode(errors="replace")
