"""Trains the model on the CPU until a wall-clock time; resumes from its checkpoint.

Usage: python3 train.py --vocab vocab.json --out run --minutes 90 [--long-share 0.1] [--threads 2]

The learning rate stays flat and then falls linearly to zero over the last part of the time. A
checkpoint holds the weights, their running mean (which is what gets exported), both optimizers'
moments, and the position in the data.
"""

import argparse
import os
import random
import signal
import time

import torch
import torch.nn.functional as F

import generate
import gguf
from chat import training_pieces
from model import Config, Model
from tokenizer import Tokenizer

SEED = 20251


def encode(tokenizer, conv):
    """Token ids, loss flags (for predicting that token), and where turns begin."""
    ids, learn, starts = [], [], []
    for text, flag in training_pieces(conv):
        part = tokenizer.encode(text)
        if text.startswith("<|im_start|>"):
            starts.append(len(ids))
        ids += part
        learn += [flag] * len(part)
    return ids, learn, starts


class Data:
    """Pools of conversations, sorted by length and cut into batches of similar rows."""

    def __init__(self, tokenizer, context, long_share, micro):
        self.tokenizer, self.context, self.long_share, self.micro = tokenizer, context, long_share, micro

    def measure(self, turn):
        return len(self.tokenizer.encode(turn.user + turn.answer)) + 10

    def pool(self, index):
        """The micro-batches of one pool; the index is its seed."""
        rng = random.Random(SEED * 100000 + index)
        rows, total, long_total = [], 0, 0
        while len(rows) < 3000:
            if long_total < self.long_share * total:
                size = rng.choice([500, 1000, 2000, 3000, 3900, 4000, 4060, 4090])
                conv = generate.long_conversation(rng, size, self.measure, False)
                long_total += size
            else:
                conv = generate.conversation(rng, False)
            ids, learn, starts = encode(self.tokenizer, conv)
            if len(ids) > self.context:
                continue
            total += len(ids)
            rows.append((ids, learn, self.positions(rng, len(ids), starts)))
        rng.shuffle(rows)
        rows.sort(key=lambda r: len(r[0]) // 8)
        batches, current = [], []
        for row in rows:
            if current and len(row[0]) * (len(current) + 1) > self.micro:
                batches.append(current)
                current = []
            current.append(row)
        batches.append(current)
        rng.shuffle(batches)
        return batches

    def positions(self, rng, count, starts):
        """Positions of a row; some rows get gaps between turns, to stand for long talks."""
        out = list(range(count))
        inner = [s for s in starts if s > 0]
        if len(inner) > 1 and rng.random() < 0.2:
            room = self.context - count
            for _ in range(rng.choice([1, 1, 2])):
                at, gap = rng.choice(inner), rng.randint(0, room)
                room -= gap
                out = out[:at] + [p + gap for p in out[at:]]
        return out


def tensors(batch, pad):
    """Padded inputs, positions, and the flat places and targets that carry loss."""
    width = max(len(r[0]) for r in batch)
    x = torch.full((len(batch), width), pad)
    pos = torch.zeros((len(batch), width), dtype=torch.long)
    places, targets = [], []
    for i, (ids, learn, positions) in enumerate(batch):
        x[i, : len(ids)] = torch.tensor(ids)
        pos[i, : len(ids)] = torch.tensor(positions)
        for t in range(1, len(ids)):
            if learn[t]:
                places.append(i * width + t - 1)
                targets.append(ids[t])
    return x, pos, torch.tensor(places), torch.tensor(targets)


class Muon:
    """Momentum with orthogonalised updates for the matrices, grouped by shape."""

    def __init__(self, params, momentum=0.95, decay=0.05):
        self.groups = {}
        for p in params:
            self.groups.setdefault(tuple(p.shape), []).append(p)
        self.moments = {s: torch.zeros(len(g), *s) for s, g in self.groups.items()}
        self.momentum, self.decay = momentum, decay

    @torch.no_grad()
    def step(self, lr):
        for shape, params in self.groups.items():
            grad = torch.stack([p.grad for p in params])
            m = self.moments[shape]
            m.mul_(self.momentum).add_(grad, alpha=1 - self.momentum)
            u = orthogonal(grad.lerp(m, self.momentum))
            scale = max(1, shape[0] / shape[1]) ** 0.5
            for p, d in zip(params, u):
                p.mul_(1 - lr * self.decay).add_(d.float(), alpha=-lr * scale)


def orthogonal(g, steps=5):
    """Newton-Schulz iteration towards the nearest orthogonal matrix, in bfloat16."""
    x = g / (g.norm(dim=(1, 2), keepdim=True) + 1e-7)
    tall = x.shape[1] > x.shape[2]
    x = (x.transpose(1, 2) if tall else x).bfloat16().contiguous()
    for _ in range(steps):
        a = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.775 * a + 2.0315 * (a @ a)) @ x
    return x.transpose(1, 2) if tall else x


def crowded():
    """Whether other programs are running now: then threads that wait for each other lose time."""
    with open("/proc/loadavg") as f:
        return int(f.read().split()[3].split("/")[0]) > 1


def save(path, state):
    torch.save(state, path + ".part")
    os.replace(path + ".part", path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vocab", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--long-share", type=float, default=0.0)
    parser.add_argument("--decay-from", type=float, default=0.6)
    parser.add_argument("--lr", type=float, default=0.006)
    parser.add_argument("--adam-lr", type=float, default=0.001)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--micro", type=int, default=2560)
    parser.add_argument("--accumulate", type=int, default=2)
    parser.add_argument("--start", help="a GGUF file whose weights a run without a checkpoint starts from")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(SEED)
    tokenizer = Tokenizer.load(args.vocab)
    config = Config(vocab=len(tokenizer.tokens))
    model = Model(config)
    if args.start:
        model.load_state_dict({name: torch.tensor(values) for name, values in gguf.read(args.start)[1].items()})
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embd" not in n]
    others = [p for n, p in model.named_parameters() if p.dim() == 1 or "embd" in n]
    muon = Muon(matrices)
    adam = torch.optim.AdamW(others, lr=args.adam_lr, betas=(0.9, 0.97), weight_decay=0.0)
    mean = {n: p.detach().clone() for n, p in model.named_parameters()}
    at = {"step": 0, "pool": 0, "tokens": 0, "seconds": 0.0}
    os.makedirs(args.out, exist_ok=True)
    path = os.path.join(args.out, "checkpoint.pt")
    if os.path.exists(path):
        state = torch.load(path)
        model.load_state_dict(state["model"])
        mean, at = state["mean"], state["at"]
        muon.moments = state["muon"]
        adam.load_state_dict(state["adam"])
    data = Data(tokenizer, config.context, args.long_share, args.micro)
    print(f"parameters {sum(p.numel() for p in model.parameters())}, from {at}", flush=True)
    saved = shown = time.time()
    origin, limit = saved - at["seconds"], args.minutes * 60
    losses, seen, stop = [], 0, []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    while time.time() - origin < limit and not stop:
        batches = data.pool(at["pool"])
        at["pool"] += 1
        for b in range(0, len(batches) - args.accumulate + 1, args.accumulate):
            elapsed = (time.time() - origin) / limit
            if elapsed >= 1 or stop:
                break
            rate = min(1.0, (at["step"] + 1) / 50, max(0.02, (1 - elapsed) / (1 - args.decay_from)))
            torch.set_num_threads(1 if crowded() else args.threads)
            group = [tensors(rows, tokenizer.pad) for rows in batches[b : b + args.accumulate]]
            total = sum(len(g[2]) for g in group)
            for x, pos, places, targets in group:
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    states = model.hidden(x, pos).flatten(0, 1)[places]
                    logits = model.logits(states)
                loss = F.cross_entropy(logits.float(), targets, reduction="sum") / total
                loss.backward()
                losses.append((float(loss.detach()), len(targets) / total))
                seen += x.numel()
            muon.step(args.lr * rate)
            for g in adam.param_groups:
                g["lr"] = args.adam_lr * rate
            adam.step()
            model.zero_grad()
            at["step"] += 1
            keep = min(0.998, at["step"] / (at["step"] + 10))
            with torch.no_grad():
                for n, p in model.named_parameters():
                    mean[n].lerp_(p, 1 - keep)
            if time.time() - shown > 20:
                rate_tokens = seen / (time.time() - shown)
                at["tokens"] += seen
                value = sum(v for v, _ in losses) / sum(w for _, w in losses)
                print(f"{time.strftime('%H:%M:%S')} step {at['step']} tokens {at['tokens'] / 1e6:.2f}M "
                      f"loss {value:.4f} lr {rate:.2f} {rate_tokens:.0f} tok/s, {torch.get_num_threads()} threads", flush=True)  # fmt: skip
                losses, seen, shown = [], 0, time.time()
            if time.time() - saved > 240:
                saved = time.time()
                at["seconds"] = saved - origin
                save(path, checkpoint(model, mean, muon, adam, at, config))
    at["seconds"] = time.time() - origin
    at["tokens"] += seen
    save(path, checkpoint(model, mean, muon, adam, at, config))
    print("done", at, flush=True)


def checkpoint(model, mean, muon, adam, at, config):
    """Everything that a resumed run needs."""
    return {"model": model.state_dict(), "mean": mean, "muon": muon.moments, "adam": adam.state_dict(), "at": at, "config": config.to_dict()}  # fmt: skip


if __name__ == "__main__":
    main()
