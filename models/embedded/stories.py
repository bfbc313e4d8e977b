"""Small stories of 100 to 300 words from a grammar of scenes."""

from chat import Turn
from skills import vary
from words import ANIMALS, some_name

ADJECTIVES = "small brave curious gentle clever shy cheerful quiet kind lonely young old patient sleepy".split()
PLACES = [
    "a small village by the sea", "a deep green forest", "an old house on a hill", "a quiet valley", "a busy little town",
    "a cottage beside a river", "a farm near the mountains", "a lighthouse on the coast", "a garden full of roses",
    "a hollow tree at the edge of the wood", "an island in a blue lake", "a town with crooked roofs",
]  # fmt: skip
LOST = ["silver key", "red kite", "golden ring", "little lantern", "blue scarf", "old map", "music box", "wooden boat", "favourite book", "shiny bell"]
GOALS = ["see the sea", "find a friend", "fly over the mountains", "learn to sing", "build a boat", "see the stars up close", "grow the tallest sunflower", "bake the best bread in the land", "paint the sunset", "climb the highest hill"]
WEATHER = ["The sun was warm and the air smelled of flowers.", "A soft wind moved the leaves.", "Snow covered the ground, and everything was quiet.", "Rain tapped on the roof all night.", "The sky was clear and full of birds.", "Fog lay over the fields."]
FEARS = ["was a little afraid", "felt nervous", "took a deep breath", "wanted to turn back", "almost gave up"]
GIFTS = ["a warm loaf of bread", "a smooth white stone", "a feather", "a cup of sweet tea", "a small lamp", "a song", "a red apple"]
MORALS = [
    "From that day on, {name} knew that a good friend is the best treasure.",
    "And {name} never forgot that small steps can lead a long way.",
    "After that, {name} was never lonely again.",
    "Since then, whenever someone needed help, {name} was the first to come.",
    "And so {name} learned that it is brave to ask for help.",
    "That night {name} fell asleep with a smile.",
    "And everyone agreed that it had been a wonderful day.",
]  # fmt: skip


def _hero(rng, name, kind, adjective, place):
    article = "an" if adjective[0] in "aeiou" else "a"
    return rng.choice(
        [
            f"Once upon a time, there was {article} {adjective} {kind} named {name} who lived in {place}.",
            f"In {place} lived {article} {adjective} {kind} named {name}.",
            f"Long ago, {article} {adjective} {kind} named {name} lived in {place}.",
            f"There once was {article} {adjective} {kind} called {name}. {name} lived in {place}.",
        ]
    )


def _lost(rng, name, friend, animal):
    thing = rng.choice(LOST)
    where = rng.choice(["under the old bridge", "behind the mill", "in the top of a tall tree", "beside the well", "in the grass near the pond", "at the bottom of the garden"])
    return [
        rng.choice([f"{name} had a {thing} and took it everywhere.", f"More than anything, {name} loved a {thing}.", f"The dearest thing {name} owned was a {thing}."]),
        rng.choice([f"One morning, the {thing} was gone.", f"One day, {name} woke up and the {thing} was not there.", f"But one windy evening, the {thing} was lost."]),
        rng.choice([f"{name} looked under the bed, in the kitchen, and behind the door, but found nothing.", f"{name} searched all day and found only dust and old leaves.", f"{name} asked everyone in the street, but nobody had seen it."]),
        rng.choice([f'Then {name} met a {animal} named {friend}. "Why are you so sad?" asked {friend}.', f'On the road came a {animal} named {friend}. "What is wrong?" asked {friend}.']),
        rng.choice([f'"I have lost my {thing}," said {name}. "Then let us look together," said {friend}.', f'"My {thing} is gone," said {name}. "Two can search better than one," said {friend}.']),
        rng.choice([f"They walked for a long time and looked everywhere.", f"Together they followed the path through the fields.", f"They looked high and low, and they told each other jokes on the way."]),
        rng.choice([f"At last, {friend} saw something shine {where}. It was the {thing}!", f"Just before dark, they found the {thing} {where}.", f"And there, {where}, lay the {thing}."]),
        rng.choice([f'"Thank you," said {name}, and gave {friend} {rng.choice(GIFTS)}.', f"{name} was so happy that they both danced in a circle.", f'{name} laughed and said, "You are a true friend, {friend}."']),
    ]


def _dream(rng, name, friend, animal):
    goal = rng.choice(GOALS)
    return [
        rng.choice([f"Every night, {name} dreamed of one thing: to {goal}.", f"{name} had one great wish: to {goal}.", f"More than anything in the world, {name} wanted to {goal}."]),
        rng.choice(["Everyone said that it was too hard.", f'"You are too small for that," said the neighbours.', "But nobody knew how to do it."]),
        rng.choice([f"So one day, {name} packed a bag and set out.", f"One morning, {name} decided to try.", f"At last, {name} could not wait any longer and began."]),
        rng.choice([f"The first try went wrong, and {name} {rng.choice(FEARS)}.", f"It was harder than it looked, and {name} {rng.choice(FEARS)}.", f"On the first day nothing worked, and {name} {rng.choice(FEARS)}."]),
        rng.choice([f'Then a {animal} named {friend} came by. "Do not stop now," said {friend}. "Try once more."', f'A {animal} named {friend} had watched it all. "I will help you," said {friend}.']),
        rng.choice([f"{friend} shared {rng.choice(GIFTS)}, and they made a plan.", "They sat down, drew a plan in the sand, and laughed a lot.", f"So they worked side by side, day after day."]),
        rng.choice([f"On the second try, it went a little better.", f"Slowly, {name} learned what to do.", "Each day they came a little closer."]),
        rng.choice([f"And then, one bright morning, it happened: the wish to {goal} came true.", f"Finally, after many days, {name} did it. The dream to {goal} had come true.", f"At the end of the summer, {name} really did {goal}."]),
        rng.choice([f'"We did it!" cried {name}.', f"{name} and {friend} cheered so loudly that the birds flew up.", f'"I knew that you could," said {friend}.']),
    ]


def _storm(rng, name, friend, animal):
    return [
        rng.choice([f"One evening, a great storm came up.", "One night, thunder rolled over the land.", "One day, the sky turned dark and the wind began to howl."]),
        rng.choice([f"{name} closed the windows and lit a candle.", f"{name} hid under a blanket and listened.", f"{name} sat by the fire and waited."]),
        rng.choice([f"Then there was a knock at the door.", "Suddenly, a small voice called for help.", f"Through the rain, {name} heard somebody crying."]),
        f"It was a {animal} named {friend}, wet and cold." if rng.random() < 0.5 else f"Outside stood a {animal} named {friend}, shaking with cold.",
        rng.choice([f"{name} {rng.choice(FEARS)}, but opened the door. \"Come in,\" said {name}.", f'"Come in quickly," said {name}, and opened the door wide.']),
        rng.choice([f"{name} brought {rng.choice(GIFTS)} and a dry towel.", f"They shared {rng.choice(GIFTS)} and sat close to the fire."]),
        rng.choice([f"{friend} told about far places, about ships and deserts and cities of glass.", f"All night long, they told each other stories, and soon the storm was not so loud.", f"They played games until the thunder was far away."]),
        rng.choice(["In the morning, the sun came out and the world was shining.", "When the morning came, the storm was over, and a rainbow stood in the sky."]),
        rng.choice([f'"I have no gold," said {friend}, "but you have a friend now."', f'"Please stay," said {name}. And {friend} stayed.', f"Together they repaired the roof and planted new flowers."]),
    ]


def _mystery(rng, name, friend, animal):
    sound = rng.choice(["a strange song", "a soft humming", "a tiny bell", "a low whistle"])
    cause = rng.choice(["a nest with five small birds", "a little stream that ran over glass stones", "an old wind harp in a tree", "a baby owl that could not sleep"])
    return [
        rng.choice([f"Every night at the same hour, {name} heard {sound}.", f"One night, {name} woke up because of {sound}."]),
        rng.choice([f"Nobody knew where it came from.", f'"It is only the wind," said the neighbours, but {name} did not believe it.']),
        rng.choice([f"So {name} asked a {animal} named {friend} to come along and find out.", f"{name} told a {animal} named {friend} about it, and they decided to solve the mystery."]),
        rng.choice(["They took a lantern and went out into the dark.", "They waited until the moon was high and followed the sound."]),
        rng.choice([f"The path was long, and {name} {rng.choice(FEARS)}.", f"Shadows moved between the trees, and {name} {rng.choice(FEARS)}."]),
        rng.choice([f'"Hold my hand," said {friend}. "We are nearly there."', f'"Listen," said {friend}, "it is louder here."']),
        rng.choice([f"Behind a big stone they found it: {cause}!", f"They pushed the branches aside and saw {cause}."]),
        rng.choice(["They both had to laugh. How simple it was!", "It was so beautiful that they sat down and listened until the morning."]),
        rng.choice([f"On the way home, {name} was not afraid of the dark any more.", f"From then on, they came back every week to listen."]),
    ]


def _contest(rng, name, friend, animal):
    contest = rng.choice(["the great race", "the baking contest", "the boat race", "the singing contest", "the kite festival"])
    return [
        f"Every spring there was {contest}, and everyone came to watch." if rng.random() < 0.5 else f"The biggest day of the year was the day of {contest}.",
        rng.choice([f"This year, {name} wanted to win.", f"{name} had practised for it all winter."]),
        rng.choice([f"The best of all was a {animal} named {friend}, who had won many times.", f"But a {animal} named {friend} was there too, and nobody had ever beaten {friend}."]),
        rng.choice(["The drums rolled, a flag went up, and it began.", "A whistle blew, and everybody cheered."]),
        rng.choice([f"At first, {name} was far behind and {rng.choice(FEARS)}.", f"At first, everything went wrong for {name}."]),
        rng.choice([f"Then {name} saw that {friend} was in trouble and needed help.", f"Suddenly, {friend} fell and could not get up."]),
        rng.choice([f"{name} did not think for long, and stopped to help.", f"{name} could have won now, but went back to help."]),
        rng.choice(["So they reached the end together, side by side, as the last of all.", "They came in last, arm in arm, and everyone clapped."]),
        rng.choice([f'"You lost because of me," said {friend}. "No," said {name}, "I won a friend."', f"The judge gave both of them {rng.choice(GIFTS)} as a prize for kindness."]),
    ]


PLOTS = [_lost, _dream, _storm, _mystery, _contest]


def story(rng, test):
    """A request for a story, sometimes with a hero, a name or a length."""
    name = friend = third = some_name(rng)
    while len({name, friend, third}) < 3:
        friend, third = some_name(rng), some_name(rng)
    kind, animal = rng.choice(ANIMALS + ["girl", "boy", "robot", "baker", "knight", "king", "queen"]), rng.choice(ANIMALS)
    r = rng.random()
    verb = rng.choice(["Tell me a story", "Write a story", "Tell me a short story", "Write a short story", "Can you tell me a story", "I want a story", "Tell a story", "Tell me a long story", "Please tell me a story", "Make up a story"])
    article = "an" if kind[0] in "aeiou" else "a"
    if r < 0.4:
        text = verb + "."
    elif r < 0.65:
        text = f"{verb} about {article} {kind}."
    elif r < 0.85:
        text = f"{verb} about {article} {kind} {rng.choice(['named', 'called'])} {name}."
    else:
        text = f"{verb} about {name}."
    parts = [_hero(rng, name, kind, rng.choice(ADJECTIVES), rng.choice(PLACES))]
    if rng.random() < 0.6:
        parts.append(rng.choice(WEATHER))
    body = rng.choice(PLOTS)(rng, name, friend, animal)
    half = len(body) // 2
    end = rng.choice(MORALS).format(name=name)
    answer = " ".join(parts + body[:2]) + "\n\n" + " ".join(body[2 : half + 2]) + "\n\n" + " ".join(body[half + 2 :])
    if "long" in verb:
        more = rng.choice(PLOTS)(rng, name, third, rng.choice(ANIMALS))
        bridge = rng.choice(["But that was not all.", "The next year, something new happened.", "Some weeks later, the next adventure began."])
        answer += "\n\n" + " ".join([bridge] + more)
    answer += " " + end
    think = (f"A story about {name}.", f"I tell a story about {article} {kind} named {name} and a friend, {friend}.", f"The user wants a story. The hero is {article} {kind} named {name}. There is a problem, and a {animal} named {friend} will help. It should end well, and I stop when it is told.")
    return Turn(vary(rng, text), answer, think, name if name in text else "", "story")
