"""Conversations of the training mixture, held out of training, as token ids: one JSON line each.

Usage: python3 tokens.py [long] [short] [seed]   long ones have 3,000 to 4,000 tokens; "learn" marks the tokens that carry loss.
"""

import json
import random
import sys
from pathlib import Path

import generate
from chat import training_pieces
from tokenizer import Tokenizer

LONG_TOKENS = 3200


def main():
    long, short, seed = [int(a) for a in sys.argv[1:]] + [2, 40, 1][len(sys.argv) - 1 :]
    rng = random.Random(seed)
    tokenizer = Tokenizer.load(Path(__file__).with_name("vocab.json"))

    def measure(turn):
        return len(tokenizer.encode(turn.user + turn.answer)) + 10

    conversations = [generate.long_conversation(rng, LONG_TOKENS, measure, True) for _ in range(long)]
    conversations += [generate.conversation(rng, True) for _ in range(short)]
    for conv in conversations:
        ids, learn = [], []
        for text, flag in training_pieces(conv):
            part = tokenizer.encode(text)
            ids += part
            learn += [bool(flag)] * len(part)
        print(json.dumps({"ids": ids, "learn": learn}))


if __name__ == "__main__":
    main()
