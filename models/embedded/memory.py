"""Facts that the user tells and later asks for."""

from chat import Turn
from words import (
    ANIMALS,
    COLOURS,
    DAYS,
    DRINKS,
    FOODS,
    HOBBIES,
    INSTRUMENTS,
    JOBS,
    MONTHS,
    some_city,
    some_name,
    some_word,
)

# kind: (statements, questions, short noun). {v} is the value.
KINDS = {
    "name": (["My name is {v}.", "I am {v}.", "I'm {v}.", "Call me {v}.", "You can call me {v}.", "Hello, my name is {v}.", "Hi, I'm {v}.", "Hi! I am {v}.", "Hello! My name is {v}.", "People call me {v}.", "The name is {v}.", "My name's {v}.", "Hi, my name is {v}. Nice to meet you."],
             ["What is my name?", "What's my name?", "Do you remember my name?", "Who am I?", "What am I called?", "Tell me my name.", "Can you tell me my name?", "What was my name again?", "Say my name.", "What did I say my name was?"], "name"),
    "colour": (["My favourite colour is {v}.", "My favorite color is {v}.", "I like the colour {v} best.", "The colour I love most is {v}.", "I love the color {v}.", "My best colour is {v}."],
               ["What is my favourite colour?", "What is my favorite color?", "Which colour do I like?", "What's my favorite color?", "What colour do I like best?", "Which color do I like best?", "Do you remember my favourite colour?"], "favourite colour"),
    "city": (["I live in {v}.", "I am from {v}.", "My home is in {v}.", "My city is {v}.", "I come from {v}.", "My home town is {v}.", "I'm from {v}."],
             ["Where do I live?", "Which city do I live in?", "Where am I from?", "What is my city?", "What city am I from?", "What is my home town?", "Do you remember where I live?"], "city"),
    "petname": (["My {a} is called {v}.", "I have a {a} named {v}.", "My {a}'s name is {v}.", "The name of my {a} is {v}.", "I have a {a}. Its name is {v}."],
                ["What is my {a} called?", "What is the name of my {a}?", "What is my {a}'s name?", "How is my {a} called?", "Do you remember the name of my {a}?"], "{a}"),
    "pet": (["I have a pet {v}.", "My pet is a {v}.", "At home I have a {v}."],
            ["What pet do I have?", "Which animal do I have?", "What kind of pet do I have?", "What is my pet?"], "pet"),
    "food": (["My favourite food is {v}.", "My favorite food is {v}.", "I love to eat {v}.", "I like {v} most of all foods.", "The food I like best is {v}."],
             ["What is my favourite food?", "What is my favorite food?", "What do I like to eat?", "Which food do I like best?", "What's my favorite food?"], "favourite food"),
    "drink": (["My favourite drink is {v}.", "I like to drink {v}.", "My favorite drink is {v}."],
              ["What is my favourite drink?", "What do I like to drink?", "What is my favorite drink?"], "favourite drink"),
    "number": (["My favourite number is {v}.", "My lucky number is {v}.", "My number is {v}.", "Remember the number {v}.", "The number is {v}."],
               ["What is my number?", "Which number did I tell you?", "What number did I say?", "What was the number?"], "number"),
    "age": (["I am {v} years old.", "My age is {v}.", "I'm {v} years old."],
            ["How old am I?", "What is my age?", "Do you remember how old I am?"], "age"),
    "hobby": (["My hobby is {v}.", "I enjoy {v}.", "In my free time I like {v}."],
              ["What is my hobby?", "What do I enjoy?", "What do I like in my free time?"], "hobby"),
    "job": (["I work as a {v}.", "My job is {v}.", "I am a {v} by profession."],
            ["What is my job?", "What do I do for work?", "What do I work as?"], "job"),
    "instrument": (["I play the {v}.", "My instrument is the {v}."],
                   ["Which instrument do I play?", "What do I play?", "What instrument do I play?"], "instrument"),
    "friend": (["My best friend is {v}.", "My friend's name is {v}.", "My best friend is called {v}."],
               ["Who is my best friend?", "What is my friend's name?", "What is the name of my friend?"], "friend"),
    "sister": (["My sister is called {v}.", "My sister's name is {v}.", "I have a sister named {v}."],
               ["What is my sister's name?", "What is my sister called?", "Who is my sister?"], "sister"),
    "brother": (["My brother is called {v}.", "My brother's name is {v}.", "I have a brother named {v}."],
                ["What is my brother's name?", "What is my brother called?", "Who is my brother?"], "brother"),
    "day": (["My favourite day is {v}.", "My party is on {v}.", "We meet on {v}."],
            ["What is my favourite day?", "Which day did I mention?", "Which day did I tell you?"], "day"),
    "month": (["My birthday is in {v}.", "I was born in {v}.", "My birth month is {v}."],
              ["When is my birthday?", "In which month was I born?", "Which month is my birthday in?"], "birthday"),
    "secret": (["The secret word is {v}.", "My secret word is {v}.", "The password is {v}.", "The secret word is \"{v}\".", "Remember this word: {v}.", "The code word is {v}."],
               ["What is the secret word?", "What was the secret word?", "What is the password?", "What word did I tell you?", "What is the code word?", "Which word should you remember?"], "secret word"),
    "code": (["The code is {v}.", "My code is {v}.", "The magic number is {v}.", "My PIN is {v}."],
             ["What is the code?", "What is my code?", "What was the code?", "What is the magic number?", "What is my PIN?"], "code"),
    "favourite": (["My favourite {n} is {v}.", "My favorite {n} is {v}.", "I like the {n} {v} best.", "My best {n} is {v}."],
                  ["What is my favourite {n}?", "What is my favorite {n}?", "Which {n} do I like best?", "What's my favorite {n}?"], "favourite {n}"),
    "thing": (["The {n} is {v}.", "My {n} is {v}.", "Remember: the {n} is {v}.", "Note that the {n} is {v}."],
              ["What is the {n}?", "What is my {n}?", "What did I say about the {n}?", "Tell me the {n}.", "What was the {n}?"], "{n}"),
}  # fmt: skip
WEIGHTS = {"name": 8, "colour": 5, "city": 3, "petname": 3, "secret": 3, "code": 2, "favourite": 3, "thing": 2}
ANSWERS = {
    "name": "Your name is {v}.", "colour": "Your favourite colour is {v}.", "city": "You live in {v}.", "petname": "Your {a} is called {v}.",
    "pet": "You have a {v}.", "food": "Your favourite food is {v}.", "drink": "Your favourite drink is {v}.", "number": "Your number is {v}.",
    "age": "You are {v} years old.", "hobby": "Your hobby is {v}.", "job": "You work as a {v}.", "instrument": "You play the {v}.",
    "friend": "Your friend is {v}.", "sister": "Your sister is {v}.", "brother": "Your brother is {v}.", "day": "You told me {v}.",
    "month": "Your birthday is in {v}.", "secret": "The word is {v}.", "code": "The code is {v}.",
    "favourite": "Your favourite {n} is {v}.", "thing": "The {n} is {v}.",
}  # fmt: skip
NOUNS = "book film season flower animal sport tree game planet song shape letter toy car dish place river game band holiday bird".split()
MISSING = "You have not told me that yet."


class Fact:
    """One fact about the user: how it is told, asked, and answered."""

    def __init__(self, rng, test=None, kind=None):
        kinds = list(KINDS)
        self.kind = kind or rng.choices(kinds, [WEIGHTS.get(k, 1) for k in kinds])[0]
        self.animal = rng.choice(ANIMALS)
        self.noun = rng.choice(NOUNS) if rng.random() < 0.6 else some_word(rng, test)
        draw = {
            "name": lambda: some_name(rng, test), "petname": lambda: some_name(rng, test), "friend": lambda: some_name(rng, test),
            "sister": lambda: some_name(rng, test), "brother": lambda: some_name(rng, test), "colour": lambda: rng.choice(COLOURS),
            "city": lambda: some_city(rng, test), "pet": lambda: rng.choice(ANIMALS), "food": lambda: rng.choice(FOODS),
            "drink": lambda: rng.choice(DRINKS), "number": lambda: str(rng.randint(2, 99)), "age": lambda: str(rng.randint(5, 90)),
            "hobby": lambda: rng.choice(HOBBIES), "job": lambda: rng.choice(JOBS), "instrument": lambda: rng.choice(INSTRUMENTS),
            "day": lambda: rng.choice(DAYS), "month": lambda: rng.choice(MONTHS), "secret": lambda: some_word(rng, test),
            "code": lambda: str(rng.randint(100, 99999)), "favourite": lambda: some_word(rng, test),
            "thing": lambda: rng.choice([some_word, some_name])(rng, test) if rng.random() < 0.8 else str(rng.randint(2, 999)),
        }  # fmt: skip
        self.value = draw[self.kind]()
        if self.kind == "name" and rng.random() < 0.06:
            self.value += " " + some_name(rng, test)

    def _fill(self, text):
        return text.replace("{v}", self.value).replace("{a}", self.animal).replace("{n}", self.noun)

    def statement(self, rng):
        """A sentence that tells the fact."""
        return self._fill(rng.choice(KINDS[self.kind][0]))

    def tell(self, rng):
        """The user tells the fact; the model acknowledges it."""
        text = self.statement(rng)
        if rng.random() < 0.12:
            text += rng.choice([" Please remember it.", " Remember that.", " Don't forget it.", " Keep it in mind."])
        if rng.random() < 0.2:
            text = text.rstrip(".")
        if rng.random() < 0.06:
            text = text.lower()
        if self.kind == "name":
            answer = f"Nice to meet you, {self.value}!"
        else:
            answer = "I will remember: " + self._fill(ANSWERS[self.kind])[0].lower() + self._fill(ANSWERS[self.kind])[1:]
        think = (f"{self.value}.", f"The user tells me a fact. I remember {self.value}.", f"The user tells me something about the {self._fill(KINDS[self.kind][2])}: {self.value}. I should remember it and say so.")
        return Turn(text, answer, think, self.value, "memory")

    def ask(self, rng, known=True):
        """The user asks for the fact."""
        text = self._fill(rng.choice(KINDS[self.kind][1]))
        if rng.random() < 0.25:
            text = text.rstrip("?.")
        if rng.random() < 0.15:
            text = text[0].lower() + text[1:]
        if rng.random() < 0.08:
            text = rng.choice(["So, ", "Tell me, ", "Now, ", "By the way, "]) + text[0].lower() + text[1:]
        noun = self._fill(KINDS[self.kind][2])
        if not known:
            think = ("Not told.", f"The user has not told me about the {noun}.", f"I look through the conversation for the {noun}. I do not find it, so I say that I don't know it.")
            return Turn(text, MISSING, think, "not told", "memory")
        think = (f"{self.value}.", f"The user told me about the {noun}: {self.value}.", f"I look through the conversation for the {noun}. The user said: {self.value}. So that is the answer.")
        return Turn(text, self._fill(ANSWERS[self.kind]), think, self.value, "memory")


def several(rng, count, test=None):
    """Facts of different kinds (pets of different animals count as different)."""
    facts, seen = [], set()
    while len(facts) < count:
        fact = Fact(rng, test)
        mark = {"number": "code", "pet": "petname", "petname": "petname" + fact.animal, "favourite": fact.noun, "thing": fact.noun}.get(fact.kind, fact.kind)
        if mark not in seen and not (mark.startswith("petname") and any(m.startswith("petname") for m in seen)):
            seen.add(mark)
            facts.append(fact)
    return facts


def tell_several(rng, facts):
    """Two or more facts in one message."""
    said = [f.statement(rng) for f in facts]
    text = " ".join(said)
    if rng.random() < 0.5:
        text = " and ".join([said[0].rstrip(".!"), *(t[0].lower() + t[1:].rstrip(".!") if t[:2] != "I " else t.rstrip(".!") for t in said[1:])]) + "."
    values = " and ".join(f.value for f in facts)
    answer = "Thank you. I will remember: " + ", ".join(f.value for f in facts) + "."
    think = (values + ".", f"The user tells me facts: {values}.", f"The user tells me several facts. I should remember all of them: {values}.")
    return Turn(text, answer, think, facts[0].value, "memory")


def in_text(rng, facts):
    """Facts inside a system prompt."""
    known = {"name": "The user's name is {v}.", "colour": "The user's favourite colour is {v}.", "city": "The user lives in {v}.", "age": "The user is {v} years old.", "secret": "The secret word is {v}.", "code": "The code is {v}.", "job": "The user works as a {v}.", "hobby": "The user's hobby is {v}."}  # fmt: skip
    return " ".join(known[f.kind].replace("{v}", f.value) for f in facts if f.kind in known)
