"""The Llama architecture in PyTorch, with interleaved rotary pairs as in GGUF files."""

from dataclasses import asdict, dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    """Shape of the network; every matrix has a multiple of 32 columns (Q8_0 blocks)."""

    vocab: int = 1536
    hidden: int = 256
    layers: int = 5
    heads: int = 8
    kv_heads: int = 4
    head_dim: int = 32
    ffn: int = 512
    theta: float = 50000.0
    eps: float = 1e-5
    context: int = 4096

    def to_dict(self):
        return asdict(self)


class RMSNorm(nn.Module):
    """Root-mean-square normalisation with a learned gain."""

    def __init__(self, size, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rotary_tables(positions, head_dim, theta):
    """Cosines and sines of shape [..., 1, head_dim / 2] for integer positions."""
    freq = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    angle = positions.float().unsqueeze(-1) * freq
    return angle.cos().unsqueeze(-2), angle.sin().unsqueeze(-2)


def rotate(x, cos, sin):
    """Rotates the pairs (x[2i], x[2i+1]) of [batch, time, heads, head_dim]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Block(nn.Module):
    """Pre-norm attention and SwiGLU feed-forward layers with residual connections."""

    def __init__(self, c):
        super().__init__()
        self.c = c
        self.attn_norm = RMSNorm(c.hidden, c.eps)
        self.attn_q = nn.Linear(c.hidden, c.heads * c.head_dim, bias=False)
        self.attn_k = nn.Linear(c.hidden, c.kv_heads * c.head_dim, bias=False)
        self.attn_v = nn.Linear(c.hidden, c.kv_heads * c.head_dim, bias=False)
        self.attn_output = nn.Linear(c.heads * c.head_dim, c.hidden, bias=False)
        self.ffn_norm = RMSNorm(c.hidden, c.eps)
        self.ffn_gate = nn.Linear(c.hidden, c.ffn, bias=False)
        self.ffn_up = nn.Linear(c.hidden, c.ffn, bias=False)
        self.ffn_down = nn.Linear(c.ffn, c.hidden, bias=False)

    def attend(self, q, k, v, past):
        """Causal attention; queries go in chunks so that long rows stay small in memory."""
        group = self.c.heads // self.c.kv_heads
        q = q.transpose(1, 2) * self.c.head_dim**-0.5
        k = k.transpose(1, 2).repeat_interleave(group, 1).transpose(-1, -2)
        v = v.transpose(1, 2).repeat_interleave(group, 1)
        time, out, step = q.shape[2], [], 256
        for a in range(0, time, step):
            b = min(a + step, time)
            scores = (q[:, :, a:b] @ k[..., : past + b]).float()
            if b - a > 1:
                scores[..., past + a :] += torch.full((b - a, b - a), -1e9).triu(1)
            out.append(scores.softmax(-1).to(v.dtype) @ v[:, :, : past + b])
        return torch.cat(out, 2).transpose(1, 2).flatten(-2)

    def forward(self, x, cos, sin, cache=None):
        c, (n, t, _) = self.c, x.shape
        h = self.attn_norm(x)
        q = rotate(self.attn_q(h).view(n, t, c.heads, c.head_dim), cos, sin)
        k = rotate(self.attn_k(h).view(n, t, c.kv_heads, c.head_dim), cos, sin)
        v = self.attn_v(h).view(n, t, c.kv_heads, c.head_dim)
        past = 0
        if cache is not None:
            if cache:
                past = cache[0].shape[1]
                k, v = torch.cat((cache[0], k), 1), torch.cat((cache[1], v), 1)
            cache[:] = [k, v]
        x = x + self.attn_output(self.attend(q, k, v, past))
        h = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))


class Model(nn.Module):
    """Decoder with tied input and output embeddings."""

    def __init__(self, c):
        super().__init__()
        self.c = c
        self.token_embd = nn.Embedding(c.vocab, c.hidden)
        self.blk = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.output_norm = RMSNorm(c.hidden, c.eps)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                scale = (2 * c.layers) ** -0.5 if "output." in name or "down" in name else 1.0
                nn.init.normal_(p, std=0.02 if "embd" in name else scale * c.hidden**-0.5)

    def hidden(self, ids, positions=None, cache=None):
        """Final normalised states for token ids [batch, time]."""
        if positions is None:
            start = cache[0][0].shape[1] if cache and cache[0] else 0
            positions = torch.arange(start, start + ids.shape[1]).unsqueeze(0)
        cos, sin = rotary_tables(positions, self.c.head_dim, self.c.theta)
        x = self.token_embd(ids)
        for i, block in enumerate(self.blk):
            x = block(x, cos, sin, None if cache is None else cache[i])
        return self.output_norm(x)

    def logits(self, states):
        return states @ self.token_embd.weight.t()
