"""Measures each skill of the exported GGUF file on held-out prompts, with greedy decoding.

Usage: python3 evaluate.py [--gguf firstlight-tiny.gguf] [--count 100] [--only sums,tools] [--show]
"""

import argparse
import json
import os
import random

import torch

import generate
import gguf
import memory
import tools
from chat import compact, render
from model import Config, Model
from tokenizer import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
PLAIN = [
    ("Count to 3", "1, 2, 3"), ("Count to 3.", "1, 2, 3"), ("Count to 10", "7, 8, 9, 10"), ("What is 7 + 5?", "12"), ("What is 2+2?", "4"),
    ("Hello", "Hello"), ("hi", "Hello"), ("Hello!", "Hello"), ("What day comes after Monday?", "Tuesday"), ("What month comes before May?", "April"),
    ("Who are you?", "Firstlight Tiny"), ("What can you do?", "count"), ("Thank you!", "welcome"), ("What letter comes after C?", "D"),
    ('Spell the word "planet".', "p-l-a-n-e-t"), ("Spell cat", "c-a-t"), ('Reverse the word "stone".', "enots"), ("Reverse the word hello.", "olleh"),
    ("What is Firstlight?", "inference server"), ("Which endpoint is for chat?", "/v1/chat/completions"), ("What is the default port?", "8080"),
    ("What is the capital of France?", "Paris"), ("Who won the world cup in 1998?", "don't know"), ("What is 45 + 38?", "83"), ("What is 90 - 17?", "73"),
    ("Which flag sets the port?", "--port"), ("Recite the alphabet.", "x, y, z"), ("What is my name?", "not told"), ("Goodbye!", "Goodbye"),
    ("My name is Ada. What is my name?", "Ada"), ("How are you?", "well"), ("List the days of the week.", "Saturday, Sunday"),
]  # fmt: skip


def load(path):
    """The model and tokenizer from a GGUF file."""
    meta, tensors = gguf.read(path)
    keys = {"hidden": "embedding_length", "layers": "block_count", "ffn": "feed_forward_length", "heads": "attention.head_count", "kv_heads": "attention.head_count_kv", "head_dim": "rope.dimension_count", "theta": "rope.freq_base", "eps": "attention.layer_norm_rms_epsilon", "context": "context_length", "vocab": "vocab_size"}  # fmt: skip
    model = Model(Config(**{k: meta["llama." + v] for k, v in keys.items()}))
    model.load_state_dict({k: torch.tensor(v) for k, v in tensors.items()})
    merges = [m.split(" ") for m in meta["tokenizer.ggml.merges"]]
    return model.eval(), Tokenizer(meta["tokenizer.ggml.tokens"], merges)


class Chat:
    """Greedy answers of a model."""

    def __init__(self, path):
        self.model, self.tokenizer = load(path)

    def ids(self, messages, listed=(), effort=""):
        return self.tokenizer.encode("".join(t for t, _ in render(messages, listed, effort)))

    @torch.no_grad()
    def answer(self, messages, listed=(), effort="", limit=200):
        """The decoded answer without its end token; None where it did not end in time."""
        cache = [[] for _ in range(self.model.c.layers)]
        x, out = torch.tensor([self.ids(messages, listed, effort)]), []
        for _ in range(limit):
            states = self.model.hidden(x, cache=cache)[:, -1]
            token = int(self.model.logits(states).argmax())
            if token == self.tokenizer.end:
                return self.tokenizer.decode(out)
            out.append(token)
            x = torch.tensor([[token]])
        return None


def opening(rng):
    """No system prompt or the usual one."""
    if rng.random() < 0.5:
        return []
    return [{"role": "system", "content": "You are a helpful assistant."}]


def chat_of(turns):
    """Messages of turns, without the last answer."""
    out = []
    for t in turns:
        out += [{"role": "user", "content": t.user}, {"role": "assistant", "content": t.answer}]
    return out[:-1]


def call_of(text):
    """The (name, arguments) of a tool call, or None."""
    try:
        body = text.split("<tool_call>")[1].split("</tool_call>")[0]
        data = json.loads(body)
        return data["name"], data["arguments"]
    except (IndexError, KeyError, ValueError, AttributeError):
        return None


def single(name):
    """A case of one held-out prompt of a skill; exact skills must match the whole answer."""

    def case(chat, rng):
        turn = generate.skill_turn(rng, True, [name])
        got = chat.answer(opening(rng) + chat_of([turn]), limit=450)
        if name == "story":
            good = got is not None and 100 <= len(got.split()) <= 300 and turn.key in got
            return good, turn.user, got, "a story"
        if name in ("talk", "self", "firstlight", "facts", "refusal"):
            return got is not None and turn.key in got, turn.user, got, turn.key
        return got == turn.answer, turn.user, got, turn.answer

    return case


def mixed_turns(chat, rng):
    """The last answer of a conversation of three skills."""
    turns = [generate.skill_turn(rng, True, generate.FILLERS) for _ in range(3)]
    got = chat.answer(opening(rng) + chat_of(turns))
    return got == turns[-1].answer, turns[-1].user, got, turns[-1].answer


def thinking(chat, rng):
    """A thought in its tags and then the right answer."""
    turn = generate.skill_turn(rng, True, ["sums", "reverse", "spell", "count", "calendar"])
    got = chat.answer(opening(rng) + chat_of([turn]), effort=rng.choice(["low", "medium", "high"]), limit=450) or ""
    good = got.startswith("<think>\n") and got.partition("\n</think>\n\n")[2] == turn.answer
    return good, turn.user, got, turn.answer


def no_thinking(chat, rng):
    """No thought when thinking is off."""
    turn = generate.skill_turn(rng, True, ["sums", "talk", "json"])
    got = chat.answer(opening(rng) + chat_of([turn])) or "<think>"
    return "<think>" not in got, turn.user, got, "no thought"


def tool_case(rng):
    item = tools.make(rng, True)
    listed = tools.with_others(rng, [item[0]], rng.choice([0, 1, 2]))
    return item, listed, opening(rng) + [{"role": "user", "content": item[2]}]


def calls(chat, rng):
    """The right call with the right arguments."""
    item, listed, messages = tool_case(rng)
    got = chat.answer(messages, listed) or ""
    want = (item[0]["function"]["name"], item[1])
    return call_of(got) == want, item[2], got, compact(want)


def results(chat, rng):
    """The answer after a tool's result."""
    item, listed, messages = tool_case(rng)
    call = {"function": {"name": item[0]["function"]["name"], "arguments": item[1]}}
    messages += [{"role": "assistant", "content": "", "tool_calls": [call]}, {"role": "tool", "content": item[3]}]
    got = chat.answer(messages, listed)
    return got == item[4], item[3], got, item[4]


def no_call(chat, rng):
    """No call where no tool is needed."""
    _, listed, _ = tool_case(rng)
    turn = generate.skill_turn(rng, True, generate.WITH_TOOLS)
    got = chat.answer(opening(rng) + chat_of([turn]), listed)
    return got is not None and turn.key in got, turn.user, got, turn.answer


def short_memory(chat, rng):
    """A fact told one to four turns before."""
    facts = memory.several(rng, rng.randint(1, 3), True)
    turns = [f.tell(rng) for f in facts] + generate.fillers(rng, rng.randint(0, 2), True)
    turns.append(rng.choice(facts).ask(rng))
    got = chat.answer(opening(rng) + chat_of(turns))
    return got is not None and turns[-1].key in got, turns[-1].user, got, turns[-1].key


def never_told(chat, rng):
    """A question for a fact that was not told."""
    fact = memory.Fact(rng, None, rng.choice([k for k in memory.KINDS if k not in ("number", "pet")]))
    turns = generate.fillers(rng, rng.randint(0, 2), True) + [fact.ask(rng, known=False)]
    got = chat.answer(opening(rng) + chat_of(turns))
    return got is not None and "not told" in got, turns[-1].user, got, memory.MISSING


def recall(distance):
    """A fact asked for after that many tokens of other talk."""

    def case(chat, rng):
        fact = memory.Fact(rng, True, rng.choice(["name", "colour", "city", "petname", "secret", "food"]))
        told, ask, between = fact.tell(rng), fact.ask(rng), []
        while True:
            turn = generate.pasted(rng, 60) if rng.random() < 0.2 else generate.skill_turn(rng, True)
            if len(chat.ids(chat_of([told, *between, turn, ask]))) > min(distance + 60, 4070):
                break
            between.append(turn)
        got = chat.answer(chat_of([told, *between, ask]), limit=24)
        return got is not None and fact.value in got, ask.user, got, fact.value

    return case


CASES = {name: single(name) for name in generate.SKILLS}
CASES.update(
    {"multi-turn": mixed_turns, "thinking": thinking, "no thinking": no_thinking, "tool call": calls, "tool result": results, "no tool needed": no_call,
     "memory": short_memory, "never told": never_told, "recall 256": recall(256), "recall 1024": recall(1024), "recall 2048": recall(2048), "recall 4096": recall(4096)}
)  # fmt: skip


def plain(chat, show):
    """Common prompts, with and without a system prompt."""
    good = 0
    for text, want in PLAIN:
        for system in ([], [{"role": "system", "content": "You are a helpful assistant."}]):
            got = chat.answer([*system, {"role": "user", "content": text}])
            good += got is not None and want in got
            if show and (got is None or want not in got):
                print(f"   plain: {text!r} gave {got!r}, wanted {want!r}")
    print(f"{'common prompts':16s} {good}/{2 * len(PLAIN)}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gguf", default=os.path.join(HERE, "firstlight-tiny.gguf"))
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--only", default="")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    chat = Chat(args.gguf)
    if not args.only:
        plain(chat, args.show)
    for name in args.only.split(",") if args.only else CASES:
        count = args.count if "recall" not in name and name != "story" else max(1, args.count * 2 // 5)
        good, rng = 0, random.Random("evaluate " + name)
        for _ in range(count):
            right, prompt, got, want = CASES[name](chat, rng)
            good += right
            if args.show and not right:
                print(f"   {name}: {prompt!r} gave {got!r}, wanted {want!r}")
        print(f"{name:16s} {100 * good / count:5.1f} %  ({good}/{count})", flush=True)


if __name__ == "__main__":
    main()
