"""Synthetic conversations: mixes all skills into chats. Everything follows from a seed.

Usage: python3 generate.py [count] [seed]   prints sample conversations.
"""

import random
import sys

import memory
import skills
import stories
import talk
import tools
from chat import Conversation, Turn, training_pieces

SKILLS = {
    "count": (skills.count, 12), "sums": (skills.sums, 17), "spell": (skills.spell, 12), "reverse": (skills.reverse, 11),
    "letters": (skills.letters, 6), "echo": (skills.echo, 9), "alphabet": (skills.alphabet, 5), "calendar": (skills.calendar, 5),
    "compare": (skills.compare, 2), "talk": (talk.small_talk, 9), "self": (talk.about_self, 6), "firstlight": (talk.about_server, 11),
    "facts": (talk.facts, 3), "refusal": (talk.unknown, 7), "story": (stories.story, 4), "json": (tools.extract, 15),
}  # fmt: skip
FILLERS = ["count", "sums", "spell", "reverse", "echo", "alphabet", "calendar", "talk", "firstlight", "refusal", "json"]
WITH_TOOLS = ["count", "spell", "reverse", "calendar", "talk", "self", "firstlight", "echo", "letters", "alphabet"]
SYSTEMS = [
    "You are a helpful assistant.", "You are a helpful assistant.", "You are a helpful assistant.", "You are a helpful assistant",
    "You are Firstlight Tiny.", "You are a friendly assistant.", "Be brief.", "Answer briefly.", "You are a small assistant.", "Be helpful.",
    "You are a helpful AI assistant.", "Answer the user's questions.", "You are an assistant. Be kind and honest.", "Keep your answers short.",
    "You are a teacher for small children.", "You are a concise assistant.", "Be polite and precise.", "You answer in English.", "You are a bot.",
    "You are a helpful assistant that answers questions.", "Respond as helpfully as you can.", "You are a chatbot.", "Help the user.",
]  # fmt: skip


def skill_turn(rng, test=None, names=None):
    """One turn of a random skill; test selects the held-out or the training part."""
    names = names or list(SKILLS)
    name = rng.choices(names, [SKILLS[n][1] for n in names])[0]
    while True:
        turn = SKILLS[name][0](rng, test)
        if test is None or talk.keep_for_test(turn) == test:
            return turn


def pasted(rng, words):
    """The user pastes text that needs no answer."""
    if rng.random() < 0.5:
        text = stories.story(rng, None).answer
    else:
        text = " ".join(tools.phrase(rng, None, 4, 9).capitalize() + "." for _ in range(max(1, words // 7)))
    intro = rng.choice(["Here is a text: ", "Read this: ", "Please read this text. ", "I wrote this: ", ""])
    answer = "Thank you. I have read it."
    return Turn(intro + text, answer, ("A text.", "The user gives me a text to read.", "The user gives me a text. There is no question in it, so I say that I have read it."), "", "paste")


def system_prompt(rng):
    """A system prompt, or none in half of the cases."""
    r = rng.random()
    if r < 0.5:
        return ""
    if r < 0.92:
        return rng.choice(SYSTEMS)
    return tools.phrase(rng, None, 2, 8).capitalize() + "."


def thought(turn, effort):
    """The reasoning of a turn for an effort."""
    return turn.think[("low", "medium", "high").index(effort)]


def assemble(turns, system="", effort=""):
    """A conversation of plain turns; with an effort, only its last answer is learned."""
    messages = [{"role": "system", "content": system}] if system else []
    for t in turns:
        messages += [{"role": "user", "content": t.user}, {"role": "assistant", "content": t.answer}]
    last = thought(turns[-1], effort) if effort else ""
    return Conversation(messages, effort=effort, thought=last)


def draw_effort(rng, share=0.1):
    """A reasoning effort for some of the conversations."""
    return rng.choice(["low", "medium", "medium", "high"]) if rng.random() < share else ""


def mixed(rng, test=None):
    """One to six turns of any skills."""
    count = 1 if rng.random() < 0.62 else rng.choice([2, 2, 3, 3, 4, 5])
    turns = [skill_turn(rng, test) for _ in range(count)]
    return assemble(turns, system_prompt(rng), draw_effort(rng))


def fillers(rng, count, test=None):
    """Turns between a fact and the question for it."""
    return [pasted(rng, 30) if rng.random() < 0.08 else skill_turn(rng, test, FILLERS) for _ in range(count)]


def remembering(rng, test=None):
    """Facts told, other talk, and questions for the facts."""
    facts = memory.several(rng, rng.choice([1, 1, 1, 2, 2, 3]), test)
    missing = [f for f in memory.several(rng, 3) if f.kind not in {g.kind for g in facts} and f.kind not in ("pet", "petname", "number", "code", "secret", "favourite", "thing")]
    system, turns, told = system_prompt(rng), [], list(facts)
    r = rng.random()
    if r < 0.1:
        system, known = memory.in_text(rng, facts), ("name", "colour", "city", "age", "secret", "code", "job", "hobby")
        facts = [f for f in facts if f.kind in known]
        told, facts = [], facts
        if not facts:
            return mixed(rng, test)
        if rng.random() < 0.5:
            system = rng.choice(SYSTEMS).rstrip(".") + ". " + system
    elif r < 0.2:
        f = facts[0]
        ask = f.ask(rng)
        turns.append(Turn(f.statement(rng) + " " + ask.user, ask.answer, ask.think, ask.key, "memory"))
        told = told[1:]
    while told:
        n = rng.randint(2, 3) if rng.random() < 0.3 else 1
        part, told = told[:n], told[n:]
        turns.append(part[0].tell(rng) if len(part) == 1 else memory.tell_several(rng, part))
        turns += fillers(rng, rng.choice([0, 0, 0, 0, 0, 1, 1, 2]), test)
    if rng.random() < 0.08 and r >= 0.1:
        i = rng.randrange(len(facts))
        new = memory.Fact(rng, test, facts[i].kind)
        new.animal, new.noun = facts[i].animal, facts[i].noun
        told_again = new.tell(rng)
        told_again.user = rng.choice(["Actually, ", "No wait, ", "Sorry, ", "Correction: "]) + told_again.user
        turns.append(told_again)
        facts[i] = new
    asks = [f.ask(rng) for f in rng.sample(facts, rng.randint(1, len(facts)))]
    if missing and rng.random() < 0.35:
        asks.insert(rng.randint(0, len(asks)), missing[0].ask(rng, known=False))
    if rng.random() < 0.3:
        asks[1:1] = fillers(rng, rng.randint(1, 2), test)
    turns += asks
    if not turns:
        return mixed(rng, test)
    return assemble(turns, system, draw_effort(rng, 0.1))


def unknown_fact(rng, test=None):
    """A question for a fact that was never told."""
    fact = memory.Fact(rng, None, rng.choice([k for k in memory.KINDS if k not in ("number", "pet")]))
    turns = fillers(rng, rng.choice([0, 0, 1, 2]), test) + [fact.ask(rng, known=False)]
    return assemble(turns, system_prompt(rng), draw_effort(rng, 0.1))


def calling(rng, test=None):
    """Tools in the system turn: calls, results, and prompts that need no tool."""
    chosen = [tools.make(rng, test) for _ in range(rng.choice([1, 1, 1, 1, 2]))]
    names = {c[0]["function"]["name"] for c in chosen}
    if len(names) < len(chosen):
        chosen = chosen[:1]
    listed = tools.with_others(rng, [c[0] for c in chosen], rng.choice([0, 0, 0, 1, 1, 2]))
    system, effort = system_prompt(rng), draw_effort(rng, 0.12)
    messages = [{"role": "system", "content": system}] if system else []
    steps = [("call", c) for c in chosen]
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        steps.insert(rng.randint(0, len(steps)), ("talk", skill_turn(rng, test, WITH_TOOLS)))
    if rng.random() < 0.18:
        steps = [s for s in steps if s[0] == "talk"] or [("talk", skill_turn(rng, test, WITH_TOOLS))]
    last = ""
    for i, (kind, item) in enumerate(steps):
        if kind == "talk":
            messages += [{"role": "user", "content": item.user}, {"role": "assistant", "content": item.answer}]
            last = thought(item, effort) if effort else ""
            continue
        tool, args, text, result, answer = item
        name = tool["function"]["name"]
        if text.count("?") == 0 and rng.random() < 0.3:
            text = text.rstrip(".")
        messages.append({"role": "user", "content": text})
        messages.append({"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": name, "arguments": args}}]})
        thoughts = tools.call_thoughts(name, args)
        if i == len(steps) - 1 and rng.random() < 0.4:
            last = thoughts[("low", "medium", "high").index(effort)] if effort else ""
            break
        messages += [{"role": "tool", "content": result}, {"role": "assistant", "content": answer}]
        last = ("I have the result.", f"The tool returned {result}. I tell the user.", f"The tool {name} returned {result}. Now I can answer the user in a sentence.")[("low", "medium", "high").index(effort)] if effort else ""
    return Conversation(messages, tools=listed, effort=effort, thought=last)


def drill(rng, test=None):
    """Many short turns of the exact skills: much to learn in few tokens."""
    names = rng.choice([["sums"], ["sums"], ["sums"], ["reverse"], ["echo", "spell"], ["echo", "spell"], ["spell"], ["spell", "letters"], ["reverse", "spell"], ["json"], ["json"], ["count"], ["count"], ["sums", "count"], ["count", "echo"], ["letters", "compare", "spell"], ["alphabet", "calendar", "compare"], ["facts", "talk", "self"], ["talk"]])
    return assemble([skill_turn(rng, test, names) for _ in range(rng.randint(5, 11))])


def reasoned(rng, test=None):
    """One exact question with a thought before its answer."""
    names = ["sums", "sums", "reverse", "spell", "count", "letters", "calendar", "json"]
    return assemble([skill_turn(rng, test, [rng.choice(names)])], system_prompt(rng), draw_effort(rng, 1))


def two_calls(rng, test=None):
    """Two calls of one tool in the same answer."""
    tool, args, text, result, answer = tools.weather(rng, test)
    (key, city), other = next(iter(args.items())), tools.some_city(rng, test)
    name, more = tool["function"]["name"], rng.choice(["{} and in {}", "{} and {}"]).format(city, other)
    calls = [{"type": "function", "function": {"name": name, "arguments": {key: c}}} for c in (city, other)]
    second = tools.weather_result(rng, key, other)
    messages = [
        {"role": "user", "content": text.replace(city, more)}, {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "content": result}, {"role": "tool", "content": second[0]}, {"role": "assistant", "content": answer + " " + second[1]},
    ]  # fmt: skip
    return Conversation(messages, tools=tools.with_others(rng, [tool], rng.choice([0, 0, 1])))


def raw_text(rng, test=None):
    """Text without a chat, for plain completions."""
    r = rng.random()
    if r < 0.7:
        text = stories.story(rng, test).answer
    elif r < 0.85:
        text = skills.count(rng, test).answer
    else:
        text = skills.alphabet(rng, test).answer
    return Conversation([], raw=text)


KINDS = [(mixed, 40), (drill, 26), (reasoned, 16), (remembering, 11), (unknown_fact, 7), (calling, 70), (two_calls, 1), (raw_text, 1)]


def conversation(rng, test=None):
    """One conversation of the training mixture."""
    return rng.choices([k for k, _ in KINDS], [w for _, w in KINDS])[0](rng, test)


def long_conversation(rng, size, measure, test=None):
    """A conversation of about `size` tokens: facts early, much other talk, all facts asked late."""
    facts = memory.several(rng, rng.randint(2, 6), test)
    turns = []
    for f in facts:
        turns.append(f.tell(rng))
        if rng.random() < 0.3:
            turns += fillers(rng, rng.randint(1, 3), test)
    used = sum(measure(t) for t in turns)
    asks = [f.ask(rng) for f in facts for _ in range(2)]
    rng.shuffle(asks)
    middle = []
    while used < size - 40 * len(asks):
        turn = pasted(rng, rng.choice([30, 100, 300])) if rng.random() < 0.25 else skill_turn(rng, test)
        middle.append(turn)
        used += measure(turn)
    for ask in asks[: len(asks) // 3]:
        middle.insert(rng.randint(0, len(middle)), ask)
    return assemble(turns + middle + asks[len(asks) // 3 :], system_prompt(rng))


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    for _ in range(count):
        conv = conversation(rng, False)
        print("".join(text for text, _ in training_pieces(conv)))
        print("=" * 60)


if __name__ == "__main__":
    main()
