"""Tool calls in the Hermes form, their results, and answers in JSON."""

import json

from chat import Turn, compact
from skills import vary
from words import COLOURS, FOODS, HOBBIES, JOBS, held_out, random_letters, some_city, some_name, some_word, syllables

VERBS = "get set find send make open read write start stop show check book order play move load save delete create list add count lookup fetch run convert turn search call update".split()
NOUNS = "file user item light door song room email task note price score map page table order report alarm image event record device user_data stock flight hotel recipe ticket message contact lamp window game".split()
PARAMS = "name city value color item title user word id key path query label target source text code kind room topic date language unit amount count number size level x y limit speed minutes price age".split()
NUMERIC = set("id amount count number size level x y limit speed minutes price age value".split())


def tool(name, description, params, optional=()):
    """A function tool in the OpenAI form; params maps names to JSON types."""
    properties = {k: {"type": t} for k, t in params.items()}
    schema = {"type": "object", "properties": properties, "required": [k for k in params if k not in optional]}
    f = {"name": name, "parameters": schema}
    if description:
        f["description"] = description
    return {"type": "function", "function": f}


def phrase(rng, test=None, low=1, high=3):
    """A few words, as for a search or a message."""
    return " ".join(some_word(rng, test) for _ in range(rng.randint(low, high)))


def weather(rng, test):
    key = rng.choice(["city", "location", "city", "place"])
    city = some_city(rng, test)
    name = rng.choice(["get_weather", "get_weather", "weather", "get_current_weather", "current_weather", "weather_lookup"])
    unit = rng.random() < 0.3
    params, args = {key: "string"}, {key: city}
    if unit:
        params["unit"] = "string"
    t = tool(name, rng.choice(["Get the weather.", "Get the current weather in a city.", "Weather for a place.", "Returns the weather for a given city.", ""]), params, ("unit",))
    text = rng.choice(["What is the weather in {}?", "What's the weather like in {}?", "How is the weather in {}?", "Weather in {}?", "Tell me the weather in {}.", "Is it raining in {}?", "Is it warm in {} today?", "What is the temperature in {}?", "Get the weather for {}.", "What is the weather like in {} right now?", "Check the weather in {}."]).format(city)
    return t, args, text, *weather_result(rng, key, city)


def weather_result(rng, key, city):
    """What a weather tool returns for a city, and the answer to the user."""
    degrees, sky = rng.randint(-9, 38), rng.choice("sunny cloudy rainy windy foggy clear snowy stormy".split())
    shape = rng.random()
    if shape < 0.45:
        word = rng.choice(["condition", "sky", "weather", "conditions"])
        pairs = [(rng.choice(["temperature", "temp", "degrees", "temp_c", "temperature_c"]), degrees), (word, sky)]
        rng.shuffle(pairs)
        if rng.random() < 0.3:
            pairs.insert(0, (key, city))
        return compact(dict(pairs)), f"It is {sky} and {degrees} degrees in {city}."
    if shape < 0.7:
        result = rng.choice(["{s}, {d} degrees", "{d} degrees and {s}", "{d} C, {s}", "{s} {d}"]).format(s=sky, d=degrees)
        return result, f"It is {sky} and {degrees} degrees in {city}."
    if shape < 0.85:
        result = rng.choice([f"{degrees}", f"{degrees} degrees", compact({"temperature": degrees})])
        return result, f"It is {degrees} degrees in {city}."
    return rng.choice([sky, compact({"weather": sky})]), f"It is {sky} in {city}."


def _add(rng, test):
    a, b = rng.randint(0, 999), rng.randint(0, 999)
    name, word, op = rng.choice([("add", "Add", "+"), ("add_numbers", "Add", "+"), ("sum", "Add", "+"), ("multiply", "Multiply", "*"), ("subtract", "Subtract", "-")])
    value = {"+": a + b, "*": a * b, "-": a - b}[op]
    t = tool(name, rng.choice([f"{word} two numbers.", f"{word} a and b.", ""]), {"a": "number", "b": "number"})
    if op == "+":
        text = rng.choice(["Add {} and {}.", "What is {} + {}?", "What is {} plus {}?", "Use the tool to add {} and {}.", "Calculate {} + {} with the tool."]).format(a, b)
    elif op == "*":
        text = rng.choice(["Multiply {} by {}.", "What is {} times {}?", "What is {} * {}?"]).format(a, b)
    else:
        text = rng.choice(["What is {} minus {}?", "What is {} - {}?", "Calculate {} - {}."]).format(a, b)
    return t, {"a": a, "b": b}, text, str(value), f"The result is {value}."


def _search(rng, test):
    query = phrase(rng, test)
    key = rng.choice(["query", "query", "q", "text"])
    t = tool(rng.choice(["search", "web_search", "search_web", "find", "lookup"]), rng.choice(["Search the web.", "Find pages about a query.", ""]), {key: "string"})
    text = rng.choice(["Search for {}.", "Search the web for {}.", "Find information about {}.", "Look up {}.", 'Search for "{}".', "Please search for {}", "Google {}."]).format(query)
    found = phrase(rng)
    return t, {key: query}, text, found, f"The result is {found}."


def _timer(rng, test):
    n = rng.randint(1, 90)
    unit = rng.choice(["minutes", "minutes", "seconds", "hours"])
    t = tool(rng.choice(["set_timer", "start_timer", "timer"]), rng.choice(["Set a timer.", "Start a timer.", ""]), {unit: rng.choice(["integer", "number"])})
    text = rng.choice(["Set a timer for {} {}.", "Start a timer of {} {}.", "Timer for {} {}.", "Remind me in {} {}.", "Wake me in {} {}."]).format(n, unit)
    return t, {unit: n}, text, rng.choice(["ok", "done", "started", compact({"status": "ok"})]), f"The timer is set for {n} {unit}."


def _message(rng, test):
    who, what = some_name(rng, test), phrase(rng, test, 1, 5)
    a, b = rng.choice([("to", "text"), ("to", "body"), ("name", "message"), ("recipient", "message"), ("to", "message")])
    t = tool(rng.choice(["send_message", "send_email", "send_text", "message"]), rng.choice(["Send a message.", "Write to somebody.", ""]), {a: "string", b: "string"})
    text = rng.choice(["Send {} the message: {}", "Send a message to {}: {}", "Write to {}: {}", 'Tell {}: "{}"', 'Send "{1}" to {0}.']).format(who, what)
    return t, {a: who, b: what}, text, rng.choice(["ok", "sent", "done"]), f"The message to {who} is sent."


def _light(rng, test):
    colour, room = rng.choice(COLOURS), rng.choice("kitchen bedroom bathroom garage garden hall office attic".split())
    if rng.random() < 0.5:
        t = tool(rng.choice(["set_light", "set_color", "light"]), rng.choice(["Set the colour of a light.", ""]), {"room": "string", "color": "string"})
        text = rng.choice(["Make the light in the {} {}.", "Set the light in the {} to {}.", "Turn the {} light {}."]).format(room, colour)
        return t, {"room": room, "color": colour}, text, "ok", f"The light in the {room} is now {colour}."
    on = rng.random() < 0.5
    t = tool(rng.choice(["switch_light", "set_lamp", "toggle_light"]), rng.choice(["Switch a light.", ""]), {"room": "string", "on": "boolean"})
    text = rng.choice(["Turn {} the light in the {}.", "Switch {} the light in the {}.", "Turn {} the {} light."]).format("on" if on else "off", room)
    return t, {"room": room, "on": on}, text, "ok", f"The light in the {room} is now {'on' if on else 'off'}."


def _noargs(rng, test):
    name, text, result, answer = rng.choice([
        ("get_time", "What time is it?", "{h}:{m}", "It is {h}:{m}."), ("get_date", "What is the date today?", "{d} May", "Today is {d} May."),
        ("current_time", "Tell me the time.", "{h}:{m}", "It is {h}:{m}."), ("roll_dice", "Roll the dice.", "{k}", "The result is {k}."),
        ("get_temperature", "How warm is it in here?", "{d}", "The result is {d}."), ("list_files", "List my files.", "a.txt", "The result is a.txt."),
    ])  # fmt: skip
    fill = {"h": rng.randint(10, 23), "m": rng.randint(10, 59), "d": rng.randint(1, 30), "k": rng.randint(1, 6)}
    t = tool(name, rng.choice(["", text.rstrip("?.") + "."]), {})
    return t, {}, text, result.format(**fill), answer.format(**fill)


def _invented_name(rng, test):
    while True:
        r = rng.random()
        if r < 0.35:
            name = rng.choice(VERBS) + "_" + rng.choice(NOUNS)
        elif r < 0.6:
            name = syllables(rng, 1, 2) + "_" + syllables(rng, 1, 2)
        elif r < 0.75:
            name = random_letters(rng, 3, 7)
        elif r < 0.85:
            name = rng.choice(VERBS) + syllables(rng, 1, 2).capitalize()
        else:
            name = syllables(rng, 1, 2) + rng.choice(["_", "-", ""]) + rng.choice(NOUNS)
        if test is None or held_out(name) == bool(test):
            return name


def _value(rng, test, numeric):
    if numeric:
        return rng.choice([rng.randint(0, 9), rng.randint(10, 99), rng.randint(100, 9999), rng.randint(0, 200)])
    r = rng.random()
    if r < 0.25:
        return some_city(rng, test)
    if r < 0.5:
        return some_name(rng, test)
    if r < 0.85:
        return some_word(rng, test)
    return phrase(rng, test, 2, 3)


def _invented(rng, test):
    name = _invented_name(rng, test)
    params, args = {}, {}
    for key in rng.sample(PARAMS, rng.choice([1, 1, 1, 1, 2, 2, 3])):
        if rng.random() < 0.15:
            key = syllables(rng, 1, 2)
        numeric = key in NUMERIC
        params[key] = rng.choice(["integer", "number"]) if numeric else "string"
        args[key] = _value(rng, test, numeric)
    pairs = list(args.items())
    if rng.random() < 0.2:
        rng.shuffle(pairs)
    shown = lambda v: f'"{v}"' if isinstance(v, str) and rng.random() < 0.25 else str(v)
    listed = rng.choice([" and ", ", "]).join(
        rng.choice(["{} {}", "{} {}", "{} = {}", "{}: {}", "{} set to {}"]).format(k, shown(v)) for k, v in pairs
    )
    spoken = name.replace("_", " ").replace("-", " ")
    if len(pairs) == 1 and rng.random() < 0.5:
        text = rng.choice(["Use {} for {}.", "Call {} with {}.", "Run {} on {}.", "Please use {} with {}.", "{} {}"]).format(rng.choice([name, spoken]), shown(pairs[0][1]))
    else:
        text = rng.choice(["Call {} with {}.", "Use {} with {}.", "Run {} with {}.", "Use the tool {} with {}.", "Please call {} with {}.", "I need {} with {}.", "Do {} with {}."]).format(rng.choice([name, name, spoken]), listed)
    optional = ()
    if rng.random() < 0.15:
        extra = rng.choice([p for p in PARAMS if p not in params])
        params[extra], optional = "string", (extra,)
    t = tool(name, rng.choice(["", "", phrase(rng, None, 1, 4).capitalize() + "."]), params, optional)
    result = str(rng.choice([rng.randint(0, 9999), some_word(rng), some_name(rng), phrase(rng)]))
    return t, args, text, result, f"The result is {result}."


MAKERS = [(_invented, 8), (weather, 5), (_add, 2), (_search, 2), (_timer, 1.5), (_message, 1.5), (_light, 1.5), (_noargs, 0.7)]


def make(rng, test=None):
    """A tool with a request for it: (tool, arguments, prompt, result, answer to the result)."""
    f = rng.choices([m for m, _ in MAKERS], [w for _, w in MAKERS])[0]
    return f(rng, test)


def with_others(rng, chosen, count):
    """The chosen tools among others, in random order, no name twice."""
    out = {t["function"]["name"]: t for t in chosen}
    while len(out) < len(chosen) + count:
        t = make(rng)[0]
        out.setdefault(t["function"]["name"], t)
    tools = list(out.values())
    rng.shuffle(tools)
    return tools


def call_thoughts(name, args):
    """Thoughts before a tool call."""
    values = ", ".join(f"{k} is {v}" for k, v in args.items())
    detail = f" where {values}" if values else " without arguments"
    return (f"I call {name}.", f"The tool {name} fits. I call it{detail}.", f"The user wants something that a tool can do. I look at the tools. The tool {name} fits. I call it{detail}. Then I wait for the result.")


def extract(rng, test):
    """Facts from a sentence as JSON, or a small answer as JSON."""
    r = rng.random()
    if r < 0.2:
        return _small_json(rng, test)
    if r < 0.35:
        return _labelled(rng, test)
    name, age, city = some_name(rng, test), rng.randint(3, 95), some_city(rng, test)
    job, food, colour, hobby = rng.choice(JOBS), rng.choice(FOODS), rng.choice(COLOURS), rng.choice(HOBBIES)
    article = "an" if job[0] in "aeiou" else "a"
    clauses = {
        "age": [f"is {age} years old", f"is {age}"], "city": [f"lives in {city}", f"comes from {city}"], "job": [f"works as {article} {job}", f"is {article} {job}"],
        "food": [f"likes {food}", f"loves to eat {food}"], "color": [f"likes the colour {colour}"], "hobby": [f"enjoys {hobby}"],
    }  # fmt: skip
    values = {"name": name, "age": age, "city": city, "job": job, "food": food, "color": colour, "hobby": hobby}
    used = rng.sample(list(clauses), rng.randint(1, 4))
    said = [rng.choice(clauses[k]) for k in used]
    sentence = f"{name} " + (said[0] if len(said) == 1 else ", ".join(said[:-1]) + " and " + said[-1]) + "."
    if rng.random() < 0.2:
        sentence = f"{name} {said[0]}." + "".join(f" {rng.choice([name, 'She', 'He'])} {s}." for s in said[1:])
    keys = rng.sample(["name"] + used, rng.randint(1, len(used) + 1))
    if rng.random() < 0.6:
        keys = ["name"] + rng.sample(used, rng.randint(1, min(3, len(used))))
    return _as_json(rng, keys, values, sentence)


def _labelled(rng, test):
    """Any labels with their values."""
    keys = rng.sample(PARAMS, rng.randint(1, 3))
    values = {k: _value(rng, test, k in NUMERIC) for k in keys}
    sentence = " and ".join(f"the {k} is {values[k]}" for k in keys)
    if rng.random() < 0.6:
        rng.shuffle(keys)
    return _as_json(rng, keys, values, sentence[0].upper() + sentence[1:] + ".")


def _as_json(rng, keys, values, sentence):
    """A request for JSON with some keys, in one of many forms."""
    shown = [f'"{k}"' for k in keys] if rng.random() < 0.2 else keys
    listed = shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " and " + shown[-1]
    word = rng.choice(["key", "key", "key", "field"]) + ("s" if len(keys) > 1 else "")
    form = rng.choice(["Answer in JSON with {w} {k}: {s}", "Give me JSON with {w} {k}. {s}", "{s} Answer in JSON with {w} {k}.", "Extract {k} as JSON: {s}", "Return a JSON object with the {w} {k}. {s}", "{s} Write this as JSON with {w} {k}.", "Reply in JSON with {w} {k}: {s}", "Turn this into JSON with the {w} {k}: {s}", "{s} Reply with a JSON object with the {w} {k}.", "Answer in JSON. Use the {w} {k}. {s}", "From this text, return JSON with {k}: {s}", "{s} Return {k} as JSON."])
    answer = compact({k: values[k] for k in keys})
    pairs = ", ".join(f"{k} is {values[k]}" for k in keys)
    think = (f"{pairs}.", f"I need a JSON object. From the text: {pairs}.", f"The user wants JSON with {word} {', '.join(keys)}. I read the text and find: {pairs}. I write the object.")
    return Turn(vary(rng, form.format(w=word, k=listed, s=sentence)), answer, think, answer, "json")


def _small_json(rng, test):
    key = rng.choice(["answer", "result", "value", "sum"])
    if rng.random() < 0.5:
        while True:
            a, b = rng.randint(0, 50), rng.randint(0, 49)
            if held_out(f"{a}+{b}") == bool(test):
                break
        question, value = rng.choice([f"What is {a} + {b}?", f"Add {a} and {b}."]), a + b
    else:
        n = rng.randint(2, 10)
        key = rng.choice(["numbers", "list", "count"])
        question, value = rng.choice([f"Count to {n}.", f"The numbers from 1 to {n}."]), list(range(1, n + 1))
    text = rng.choice(["Answer in JSON with key {k}: {q}", "{q} Answer in JSON with the key {k}.", "Reply in JSON with key {k}. {q}"]).format(k=key, q=question)
    answer = json.dumps({key: value})
    think = (f"{key} is {value}.", f"I need JSON with the key {key}. The value is {value}.", f"The user wants a JSON object with the key {key}. I work out the value: {value}. I write the object.")
    return Turn(text, answer, think, answer, "json")
