"""Exact skills: counting, sums, spelling, reversal, the alphabet, days and months."""

from chat import Turn
from words import DAYS, LETTERS, MONTHS, NUMBER_WORDS, held_out, some_word

ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth".split()


def vary(rng, text):
    """Everyday variation of a prompt: politeness, a dropped full stop, a small first letter."""
    r = rng.random()
    question = text.endswith("?")
    if r < 0.08 and not question:
        text = "Please " + text[0].lower() + text[1:]
    elif r < 0.12 and not question:
        text = "Can you " + text[0].lower() + text[1:].rstrip(".") + "?"
    elif r < 0.15 and not question:
        text = "Could you please " + text[0].lower() + text[1:].rstrip(".") + "?"
    elif r < 0.19 and not question:
        text = text.rstrip(".") + ", please."
    elif r < 0.22:
        text = rng.choice(["Hey, ", "Ok, ", "Now ", "Then "]) + text[0].lower() + text[1:]
    elif r < 0.23:
        text = rng.choice(["Hello. ", "Hi! ", "Thanks. ", "Great! "]) + text
    r = rng.random()
    if r < 0.3 and text[-1] in ".?":
        text = text[:-1]
    elif r < 0.33 and text[-1] == ".":
        text = text[:-1] + "!"
    if rng.random() < 0.15:
        text = text[0].lower() + text[1:]
    return text


def count(rng, test):
    """Counting to a number, between two, backwards, in words, by twos."""
    r = rng.random()
    digits, spoken = str, lambda n: NUMBER_WORDS[n]
    say, words = (spoken, True) if rng.random() < 0.35 else (digits, False)
    tail = rng.choice([" in words", " using words", " with words"]) if words else ""
    ask = lambda n: spoken(n) if rng.random() < 0.2 else str(n)
    if r < 0.5:
        n = rng.randint(1, 20)
        numbers = range(1, n + 1)
        form = rng.choice(
            ["Count to {}", "Count up to {}", "Count from 1 to {}", "Count from one to {}",
             "Count to the number {}", "Give me the numbers from 1 to {}", "List the numbers 1 to {}",
             "I want you to count to {}", "Say the numbers up to {}", "Count until {}", "Count till {}"]
        )  # fmt: skip
        text = form.format(ask(n)) + tail + "."
    elif r < 0.72:
        a = rng.randint(0, 19) if words else rng.randint(0, 90)
        b = min(a + rng.randint(1, 12), 20 if words else 99)
        numbers = range(a, b + 1)
        form = rng.choice(
            ["Count from {} to {}", "Count up from {} to {}", "List the numbers from {} to {}",
             "Start at {} and count to {}", "Give me the numbers from {} to {}"]
        )  # fmt: skip
        text = form.format(a, b) + tail + "."
    elif r < 0.93:
        a = rng.randint(2, 20)
        b = 1 if rng.random() < 0.6 else rng.randint(0, a - 1)
        numbers = range(a, b - 1, -1)
        form = rng.choice(
            ["Count down from {} to {}", "Count backwards from {} to {}", "Count from {} down to {}",
             "Count back from {} to {}", "Count from {} to {}"]
        )  # fmt: skip
        if b == 1 and rng.random() < 0.5:
            form = rng.choice(["Count down from {}", "Count backwards from {}"])
        text = form.format(a, b) + tail + "."
    else:
        n = 2 * rng.randint(2, 10)
        numbers = range(2, n + 1, 2)
        text = rng.choice(["Count by twos to {}.", "Count in twos up to {}.", "List the even numbers up to {}."])
        text, say = text.format(n), str
    answer = ", ".join(say(n) for n in numbers)
    first, last, size = say(numbers[0]), say(numbers[-1]), len(numbers)
    way = "up" if numbers[0] <= numbers[-1] else "down"
    think = (
        f"From {first} to {last}.",
        f"I count {way} from {first} to {last}. I write the numbers with commas.",
        f"The user wants me to count. I begin with {first} and go {way} until {last}. "
        f"That is {size} numbers: {answer}. I stop at {last}.",
    )
    return Turn(vary(rng, text), answer, think, answer, "count")


def column_steps(a, b):
    """Column addition of two numbers below 100, step by step."""
    ones = a % 10 + b % 10
    carry = ones // 10
    steps = f"Ones: {a % 10} + {b % 10} = {ones}"
    steps += f", write {ones % 10}, carry {carry}. " if carry else f", write {ones}. "
    tens = a // 10 + b // 10 + carry
    steps += f"Tens: {a // 10} + {b // 10}" + (" + 1" if carry else "") + f" = {tens}. "
    return steps + f"So {a} + {b} = {a + b}."


def sums(rng, test):
    """Addition and subtraction of numbers up to 99."""
    while True:
        top = rng.choice([9, 20, 99, 99, 99])
        a, b = rng.randint(0, top), rng.randint(0, 99 if rng.random() < 0.7 else top)
        plus = rng.random() < 0.5
        if not plus and a < b and rng.random() < 0.75:
            a, b = b, a
        if a + b >= 10 and held_out(f"{a}{'+-'[not plus]}{b}") != bool(test):
            continue
        break
    result = a + b if plus else a - b
    sign = "+" if plus else "-"
    expression = f"{a} {sign} {b}"
    shown = expression if rng.random() < 0.85 else f"{a}{sign}{b}"
    said = f"{a} {rng.choice(['plus', 'and'] if plus else ['minus'])} {b}"
    r = rng.random()
    answer = f"{expression} = {result}."
    if r < 0.45:
        text = rng.choice(
            ["What is {}?", "What's {}?", "Calculate {}.", "Compute {}.", "{}", "{} =", "{}?", "How much is {}?",
             "Work out {}.", "{} = ?", "Tell me what {} is.", "What does {} equal?", "Solve {}.", "Can you calculate {}?"]
        ).format(shown)  # fmt: skip
    elif r < 0.65:
        said = said.replace("and", "plus")
        text = rng.choice(["What is {}?", "How much is {}?", "What's {}?", "Calculate {}.", "Tell me {}."]).format(said)
    elif r < 0.8:
        if plus:
            text = rng.choice(
                ["Add {} and {}.", "Add {} to {}.", "What is the sum of {} and {}?", "What do {} and {} make?"]
            ).format(a, b)
        elif rng.random() < 0.5:
            text = f"Subtract {b} from {a}."
        else:
            text = rng.choice(["Take {1} away from {0}.", "What is the difference of {} and {}?"]).format(a, b)
    elif r < 0.92:
        text = rng.choice(
            ["What is {}? Answer with just the number.", "{}? Only the number.", "Give only the result: {}",
             "Answer with a number only: {}", "What is {}? Reply with just the number."]
        ).format(shown)  # fmt: skip
        answer = str(result)
    else:
        things = rng.choice("apples books coins pens eggs cards stones stamps".split())
        who = rng.choice(["I have", "I had"])
        if plus or result < 0:
            result, expression = a + b, f"{a} + {b}"
            text = f"{who} {a} {things} and get {b} more. How many {things} do I have?"
        else:
            text = f"{who} {a} {things} and give away {b}. How many {things} do I have left?"
        answer = f"{expression} = {result}. You have {result} {things}."
    if "=" not in answer and answer != str(result):
        answer = str(result)
    low = f"{expression} = {result}."
    if expression == f"{a} + {b}":
        medium = column_steps(a, b)
        high = f"I add {a} and {b} column by column. {medium} Check: {result} - {b} = {a}. Correct."
    elif result >= 0:
        tens = b // 10 * 10
        medium = f"First take away {tens}: {a} - {tens} = {a - tens}. Then take away {b % 10}: {a - tens} - {b % 10} = {result}."
        high = f"I subtract {b} from {a}. {medium} Check: {result} + {b} = {a}. Correct."
    else:
        medium = f"{a} is smaller than {b}, so the result is negative. {b} - {a} = {b - a}. So {a} - {b} = {result}."
        high = f"I subtract {b} from {a}. {medium} Check: {result} + {b} = {a}. Correct."
    if "=" in text or rng.random() < 0.3 or text[0].isdigit():
        return Turn(text, answer, (low, medium, high), str(result), "sums")
    return Turn(vary(rng, text), answer, (low, medium, high), str(result), "sums")


def quote(rng, word):
    """The word as people write it in a prompt."""
    r = rng.random()
    return f'"{word}"' if r < 0.5 else f"'{word}'" if r < 0.6 else word


def spell(rng, test):
    """Spelling a word letter by letter."""
    word = some_word(rng, test)
    form = rng.choice(
        ["Spell {}.", "Spell the word {}.", "How do you spell {}?", "How is {} spelled?", "Spell out {}.",
         "Spell out the word {}.", "Write {} letter by letter.", "Give me the letters of {}.",
         "What are the letters in {}?", "List the letters of the word {}.", "How do I spell the word {}?"]
    )  # fmt: skip
    answer = "-".join(word)
    think = (
        "Letters: " + " ".join(word) + ".",
        f"The word is {word}. Its letters are " + " ".join(word) + ".",
        f"I must spell the word {word}. Letter by letter: "
        + ", ".join(f"{i + 1} {c}" for i, c in enumerate(word))
        + ". I join the letters with hyphens.",
    )
    return Turn(vary(rng, form.format(quote(rng, word))), answer, think, answer, "spell")


def reverse(rng, test):
    """Writing a word backwards."""
    word = some_word(rng, test)
    form = rng.choice(
        ["Reverse {}.", "Reverse the word {}.", "Write {} backwards.", "What is {} backwards?", "Spell {} backwards.",
         "Reverse the letters of {}.", "Write the word {} in reverse.", "What is the reverse of {}?",
         "Turn the word {} around.", "Reverse the string {}."]
    )  # fmt: skip
    back = word[::-1]
    answer = "-".join(back) if form.startswith("Spell") else back
    think = (
        "Letters: " + " ".join(word) + ".",
        "Letters: " + " ".join(word) + ". Backwards: " + " ".join(back) + ".",
        f"I must reverse the word {word}. It has {len(word)} letters: "
        + ", ".join(f"{i + 1} {c}" for i, c in enumerate(word))
        + ". From the last to the first: "
        + ", ".join(f"{len(word) - i} {c}" for i, c in enumerate(back))
        + f". So the answer is {back}.",
    )
    return Turn(vary(rng, form.format(quote(rng, word))), answer, think, answer, "reverse")


def letters(rng, test):
    """Length, first and last letter of a word."""
    word = some_word(rng, test)
    shown = f'"{word}"' if rng.random() < 0.7 else word
    r = rng.random()
    if r < 0.4:
        text = rng.choice(["How many letters are in {}?", "How many letters does {} have?", "Count the letters in {}."])
        key, answer = str(len(word)), f"The word {word} has {len(word)} letters."
    elif r < 0.7:
        text = rng.choice(["What is the first letter of {}?", "Which letter does {} begin with?", "What letter does {} start with?"])
        key, answer = word[0], f"The first letter is {word[0]}."
    else:
        text = rng.choice(["What is the last letter of {}?", "Which letter does {} end with?"])
        key, answer = word[-1], f"The last letter is {word[-1]}."
    listed = ", ".join(f"{i + 1} {c}" for i, c in enumerate(word))
    think = ("Letters: " + " ".join(word) + ".", f"The letters are {listed}.", f"I write the letters of {word} with their numbers: {listed}. Now I can answer.")
    return Turn(vary(rng, text.format(shown)), answer, think, key, "letters")


def echo(rng, test):
    """Repeating or saying given words."""
    n = rng.randint(1, 6)
    words = [some_word(rng, test) for _ in range(n)]
    said = " ".join(words)
    r = rng.random()
    if r < 0.25:
        said = said.capitalize()
    if r < 0.75:
        text = rng.choice(['Say "{}".', 'Repeat "{}".', "Repeat after me: {}", "Say: {}", 'Say the words "{}".', "Repeat this: {}", "Echo: {}", "Reply with: {}", 'Reply with exactly "{}".', "Say {}."]).format(said)
        answer = said
    elif r < 0.9:
        k = rng.randint(2, 5)
        said = words[0]
        text = rng.choice(["Say {} {} times.", "Repeat the word {} {} times.", "Write {} {} times."]).format(quote(rng, said), rng.choice([str(k), NUMBER_WORDS[k]]))
        answer = " ".join([said] * k)
    else:
        said = words[0]
        text = rng.choice(["Write {} in capital letters.", "Write {} in upper case.", "Make {} uppercase."]).format(quote(rng, said))
        answer = said.upper()
    think = ("I repeat the words.", f"I must write: {answer}", f"The user gives me words to write. I copy them exactly: {answer}")
    return Turn(text, answer, think, answer, "echo")


def neighbour(rng, items, text_next, text_before, skill, wrap):
    """A question for the item after or before another in an ordered list."""
    forward = rng.random() < 0.5
    i = rng.randrange(len(items)) if wrap else rng.randrange(len(items) - 1) + (not forward)
    j = (i + (1 if forward else -1)) % len(items)
    text = rng.choice(text_next if forward else text_before).format(items[i])
    word = "after" if forward else "before"
    answer = f"{items[j]} comes {word} {items[i]}."
    k = min(i, j) if wrap else max(0, min(i, j) - 1)
    run = ", ".join(items[(k + d) % len(items)] for d in range(3))
    think = (f"{items[j]}.", f"The order is {run}. So {items[j]} comes {word} {items[i]}.", f"I look for what comes {word} {items[i]}. The order is {run}. The one {word} {items[i]} is {items[j]}.")
    return Turn(vary(rng, text), answer, think, items[j], skill)


def alphabet(rng, test):
    """Next and previous letters, positions, and reciting."""
    r = rng.random()
    if r < 0.7:
        after = ["What letter comes after {}?", "Which letter comes after {} in the alphabet?", "What is the next letter after {}?", "What is the letter after {}?", "Which letter follows {}?", 'What letter comes after "{}"?']
        before = ["What letter comes before {}?", "Which letter comes before {} in the alphabet?", "What is the letter before {}?", 'What letter comes before "{}"?']
        items = list(LETTERS.upper() if rng.random() < 0.6 else LETTERS)
        return neighbour(rng, items, after, before, "alphabet", False)
    if r < 0.88:
        text, part = rng.choice(["Recite the alphabet.", "Say the alphabet.", "What is the alphabet?", "List the letters of the alphabet.", "Write the alphabet.", "Tell me the alphabet.", "Give me all the letters of the alphabet."]), LETTERS
    else:
        a = rng.randint(0, 20)
        b = min(25, a + rng.randint(2, 10))
        part = LETTERS[a : b + 1]
        text = rng.choice(["Say the alphabet from {} to {}.", "List the letters from {} to {}.", "Write the letters from {} to {}."]).format(part[0], part[-1])
    answer = ", ".join(part)
    think = ("The alphabet.", f"I list the letters from {part[0]} to {part[-1]}.", f"The user wants the letters in order. I begin with {part[0]} and end with {part[-1]}. There are {len(part)} letters.")
    return Turn(vary(rng, text), answer, think, answer, "alphabet")


def calendar(rng, test):
    """Days of the week and months of the year."""
    days = rng.random() < 0.5
    items, unit, whole = (DAYS, "day", "week") if days else (MONTHS, "month", "year")
    r = rng.random()
    if r < 0.65:
        after = [f"What {unit} comes after {{}}?", f"Which {unit} comes after {{}}?", f"What {unit} is after {{}}?", f"Which {unit} follows {{}}?", f"What is the {unit} after {{}}?", "What comes after {}?", f"What is the next {unit} after {{}}?"]
        before = [f"What {unit} comes before {{}}?", f"Which {unit} comes before {{}}?", f"What {unit} is before {{}}?", f"What is the {unit} before {{}}?", "What comes before {}?"]
        if days:
            after += ["If today is {}, what day is tomorrow?", "Today is {}. What day is tomorrow?"]
            before += ["If today is {}, what day was yesterday?", "Today is {}. What day was yesterday?"]
        return neighbour(rng, items, after, before, "calendar", True)
    if r < 0.8:
        text = rng.choice([f"List the {unit}s of the {whole}.", f"What are the {unit}s of the {whole}?", f"Name the {unit}s of the {whole}.", f"Tell me the {unit}s of the {whole}.", f"Name all the {unit}s of the {whole}.", f"Name all {unit}s.", f"List the {unit}s."])
        answer = key = ", ".join(items) + "."
    elif r < 0.9:
        text = rng.choice([f"How many {unit}s are in a {whole}?", f"How many {unit}s does a {whole} have?"])
        key = str(len(items))
        answer = f"A {whole} has {len(items)} {unit}s."
    else:
        i = rng.randrange(len(items) if days else 10)
        text = rng.choice([f"What is the {ORDINALS[i]} {unit} of the {whole}?", f"Which is the {ORDINALS[i]} {unit} of the {whole}?"])
        key = items[i]
        answer = f"The {ORDINALS[i]} {unit} of the {whole} is {items[i]}."
    think = (f"The {unit}s of the {whole}.", f"I think of the {unit}s of the {whole}, from {items[0]} to {items[-1]}.", f"The question is about the {unit}s of the {whole}. In order: " + ", ".join(items) + ". Now I can answer.")
    return Turn(vary(rng, text), answer, think, key, "calendar")


def compare(rng, test):
    """The larger or smaller of two numbers."""
    a, b = rng.sample(range(100), 2)
    big = rng.random() < 0.6
    text = rng.choice(["Which is bigger, {} or {}?", "Which number is larger: {} or {}?", "What is larger, {} or {}?", "Is {} or {} bigger?"] if big else ["Which is smaller, {} or {}?", "Which number is smaller: {} or {}?"]).format(a, b)
    low, high = min(a, b), max(a, b)
    key = str(high if big else low)
    answer = f"{high} is bigger than {low}." if big else f"{low} is smaller than {high}."
    think = (f"{low} < {high}.", f"I compare {a} and {b}. {low} is less than {high}.", f"I compare the numbers {a} and {b}. {high} - {low} = {high - low}, so {high} is the bigger one and {low} the smaller one.")
    return Turn(vary(rng, text), answer, think, key, "compare")
