"""Trains the vocabulary on generated conversations.

Usage: python3 vocabulary.py vocab.json
"""

import random
import re
import sys
from collections import Counter

import generate
import words
from chat import training_pieces
from tokenizer import CONTROL, DEFINED, Tokenizer, pretokens, train

SIZE, SEED, CONVERSATIONS, MINIMUM = 1536, 7, 20000, 150
SPECIAL = re.compile("|".join(re.escape(s) for s in CONTROL + DEFINED))


def main():
    rng, counts = random.Random(SEED), Counter()
    for _ in range(CONVERSATIONS):
        for text, _ in training_pieces(generate.conversation(rng, False)):
            for plain in SPECIAL.split(text):
                counts.update(pretokens(plain))
    values = {v.lower() for v in words.NAMES + words.CITIES}
    # Rare words and names stay letters, so that copying and spelling them is a general skill.
    kept = {t: n for t, n in counts.items() if n >= MINIMUM and t.strip().lower() not in values}
    Tokenizer(*train(kept, SIZE)).save(sys.argv[1])


if __name__ == "__main__":
    main()
