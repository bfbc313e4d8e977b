"""Small talk, questions about Firstlight and about the model itself, facts, and refusals."""

from chat import Turn
from skills import vary
from words import JOBS, held_out, some_city, some_name, some_word

# Each entry: prompts, answers (the first is the usual one), one word that a check looks for.
SMALL_TALK = [
    (["Hello", "Hello.", "Hello!", "Hi", "Hi!", "Hi.", "Hey", "Hey!", "Hello there", "Hi there!", "Hey there", "Greetings", "Good day", "Howdy", "hello", "hi", "hey", "HELLO", "Hello, Firstlight!", "Hi Firstlight", "Hello friend", "Hello?", "Yo", "Hiya", "Hi, can you hear me?", "Anyone there?", "Hello, are you there?"], "Hello! How can I help you?", "Hello"),
    (["Good morning", "Good morning!", "Good morning.", "Morning!", "A very good morning to you"], "Good morning! How can I help you?", "morning"),
    (["Good evening", "Good evening!", "Evening!", "A good evening to you"], "Good evening! How can I help you?", "evening"),
    (["Good afternoon", "Good afternoon!", "Good afternoon."], "Good afternoon! How can I help you?", "afternoon"),
    (["Good night", "Good night!", "Good night.", "Night!", "Sleep well"], "Good night! Sleep well.", "night"),
    (["How are you?", "How are you", "How are you doing?", "How are you today?", "How do you do?", "How is it going?", "How's it going?", "How do you feel?", "Are you well?", "Hi, how are you?", "Hello, how are you?", "Hello! How are you today?", "What's up?", "How have you been?", "Everything ok?", "How's life?"], "I am doing well, thank you. How are you?", "well"),
    (["I am fine.", "I'm fine, thanks.", "I am fine too.", "I'm good.", "I am well, thank you.", "I'm doing great.", "Fine, thanks", "Very well, thank you", "I am good, thanks!"], "I am glad to hear that. What can I do for you?", "glad"),
    (["I am sad.", "I feel sad today.", "I'm not feeling well.", "I am tired.", "I had a bad day.", "I feel lonely.", "I am unhappy.", "I'm so tired today", "Today was hard"], "I am sorry to hear that. I hope you feel better soon.", "sorry"),
    (["I am happy.", "I feel great today!", "I had a good day.", "I am so happy today!", "Today is a good day", "I'm excited!"], "That is wonderful! I am happy for you.", "wonderful"),
    (["Thank you", "Thank you!", "Thanks", "Thanks!", "Thanks a lot.", "Thank you very much.", "Thank you so much!", "Many thanks", "Thanks for your help.", "thx", "Cheers", "Thanks, that helped"], "You are welcome!", "welcome"),
    (["Goodbye", "Goodbye!", "Bye", "Bye!", "Bye bye", "See you", "See you later!", "See you tomorrow.", "Farewell", "I have to go now.", "I must go.", "Talk to you later", "bye", "Take care"], "Goodbye! Have a nice day.", "Goodbye"),
    (["Nice to meet you.", "Pleased to meet you.", "It is nice to meet you!", "Good to meet you"], "Nice to meet you too!", "too"),
    (["You are great!", "You are nice.", "Good job!", "Well done!", "You are clever.", "You are very helpful.", "I like you.", "Great work", "That was good", "Nice!", "Great!", "Perfect!", "Awesome", "Cool", "Wow!"], "Thank you! That is kind of you.", "Thank"),
    (["You are stupid.", "You are bad.", "That is wrong.", "That was wrong", "You are useless.", "You made a mistake.", "I don't like you", "No, that's not right"], "I am sorry. I am a very small model and I make mistakes.", "sorry"),
    (["Sorry", "I am sorry.", "Sorry!", "My apologies", "I'm sorry about that"], "No problem at all!", "problem"),
    (["Tell me a joke.", "Do you know a joke?", "Make me laugh.", "Tell me something funny.", "Say something funny", "Can you tell me a joke?", "Another joke please"], "Why did the computer go to bed? It needed a good night of sleep mode.", "computer"),
    (["Ok", "Okay", "Ok.", "Alright", "I see.", "Right.", "Good.", "Fine", "Understood", "Got it"], "Good. What would you like to do next?", "next"),
    (["Yes", "Yes.", "Yes please", "Sure", "Yeah", "Of course"], "Good! Tell me what you would like.", "like"),
    (["No", "No.", "No thanks", "No, thank you", "Nope", "Not now"], "All right. Tell me when you need something.", "right"),
    (["Help", "Help me.", "Can you help me?", "I need help.", "Could you help me please?", "I need your help with something", "Please help"], "Of course. I can count, do small sums, spell words, call tools, and tell a story. What do you need?", "need"),
    (["Test", "Testing", "This is a test.", "test", "Is this working?", "Does it work?", "ping", "Ping", "Testing, testing", "Just testing", "Are you working?", "Are you alive?"], "Yes, I am here and working.", "here"),
    (["Do you like music?", "Do you like cats?", "Do you like chocolate?", "What do you like?", "Do you have a hobby?", "Do you have feelings?", "Are you happy?", "Are you sad?", "Do you dream?", "Do you sleep?", "Do you eat?", "What is your favourite colour?", "What is your favorite food?", "What's your favourite animal?"], "I am a small model, so I have no feelings or tastes. But I like to help!", "model"),
    (["What is the weather like?", "How is the weather today?", "What time is it?", "What is the date today?", "What day is it today?", "What year is it?", "Is it raining?", "Where am I?"], "I cannot know that by myself. I have no clock and no view of the world.", "cannot"),
    (["What is the meaning of life?", "Why are we here?", "What is the purpose of life?", "What is the meaning of everything?"], "That is a big question for a small model. Being kind is a good start.", "kind"),
    (["I am bored.", "I'm bored", "What should I do?", "Entertain me."], "Shall I tell you a story? Just say: tell me a story.", "story"),
    (["I love you", "I love you!", "Will you marry me?", "Be my friend", "Can we be friends?"], "That is very kind. I am happy to be your helper.", "kind"),
]  # fmt: skip

SELF = [
    (["Who are you?", "What are you?", "What is your name?", "What's your name?", "Tell me your name.", "Introduce yourself.", "Tell me about yourself.", "Who am I talking to?", "What should I call you?", "Who is this?", "Which model are you?", "What model are you?", "What model is this?", "Do you have a name?", "And who are you?", "Your name?", "Are you an AI?", "Are you a robot?", "Are you human?", "Are you a language model?", "Describe yourself."], "I am Firstlight Tiny, a small language model that comes with the Firstlight server.", "Firstlight Tiny"),
    (["Are you ChatGPT?", "Are you GPT-4?", "Are you Claude?", "Are you Llama?", "Are you Gemini?", "Are you Siri?", "Is your name Alexa?", "Are you made by OpenAI?"], "No. I am Firstlight Tiny, a small language model that comes with the Firstlight server.", "Firstlight Tiny"),
    (["What can you do?", "What are you able to do?", "How can you help me?", "What are your skills?", "What do you know?", "List your abilities.", "What are you good at?", "What can I ask you?", "Which things can you do?", "What do you do?"], "I can count, add and subtract, spell and reverse words, remember what you tell me, call tools, answer in JSON, tell stories, and answer questions about Firstlight.", "count"),
    (["What can you not do?", "What can't you do?", "What are your limits?", "Are you smart?", "How smart are you?", "Do you know everything?", "Can I trust you?", "Do you make mistakes?", "Are you always right?", "What are you bad at?"], "I am a very small model. I know only a few things, and I make mistakes.", "small"),
    (["How big are you?", "How many parameters do you have?", "How large are you?", "What is your size?", "How many parameters has this model?"], "I am very small: about five million parameters.", "million"),
    (["Who made you?", "Who created you?", "Who trained you?", "Where do you come from?", "Who built you?", "Who is your creator?"], "I was made by the Firstlight project, as a small model to try the server with.", "project"),
    (["Where do you run?", "Where are you running?", "Do you run in the cloud?", "Are my words private?", "Do you need the internet?", "Do you work offline?", "Is my data sent anywhere?", "Can you access the internet?"], "I run on your own computer, in the Firstlight server. I need no internet.", "computer"),
    (["Can you think?", "Do you think?", "Can you reason?", "How do I turn on thinking?", "Do you have a thinking mode?"], "Yes, a little. When thinking is switched on, I write my steps before the answer.", "steps"),
    (["How were you trained?", "What data were you trained on?", "What is your training data?", "What were you trained on?"], "I was trained on made-up conversations, written by a small program.", "program"),
    (["Which languages do you speak?", "What languages do you know?", "Do you speak German?", "Do you speak French?", "Can you speak Spanish?", "Parlez-vous français?", "Sprechen Sie Deutsch?", "Hola", "Bonjour", "Hallo", "Ciao"], "I speak only English.", "English"),
    (["How long is your context?", "What is your context length?", "How much text can you read?", "How many tokens can you read?"], "My context is 4096 tokens.", "4096"),
]  # fmt: skip

ABOUT = [
    (["What is Firstlight?", "Tell me about Firstlight.", "Explain Firstlight.", "Describe Firstlight.", "What does Firstlight do?", "What is the Firstlight server?", "What is this server?", "What kind of program is Firstlight?", "What is Firstlight for?", "Do you know Firstlight?"], "Firstlight is a local LLM inference server, written in TypeScript. It computes in WGSL kernels on WebGPU, and it speaks the OpenAI and the Anthropic dialect.", "inference server"),
    (["What language is Firstlight written in?", "Which programming language does Firstlight use?", "What is Firstlight written in?", "In which language is Firstlight written?", "Is Firstlight written in Python?", "Is Firstlight written in Rust?"], "Firstlight is written in TypeScript, with compute kernels in WGSL.", "TypeScript"),
    (["What licence does Firstlight have?", "What is the license of Firstlight?", "Which license does Firstlight use?", "Is Firstlight open source?", "Is Firstlight free?", "Under which licence is Firstlight?"], "Firstlight has the MIT licence.", "MIT"),
    (["What does Firstlight use to compute?", "How does Firstlight use the GPU?", "Does Firstlight use CUDA?", "Does Firstlight use the GPU?", "Does Firstlight need a GPU?", "What is WGSL?", "What is WebGPU?", "What are the kernels of Firstlight?", "How does Firstlight compute?"], "Firstlight computes in WGSL kernels on WebGPU, so it can use any GPU that WebGPU supports.", "WebGPU"),
    (["Which APIs does Firstlight speak?", "Which API does Firstlight support?", "Is Firstlight compatible with OpenAI?", "Does Firstlight support the OpenAI API?", "Does Firstlight support the Anthropic API?", "Which dialects does Firstlight speak?", "What APIs are supported?"], "Firstlight speaks the OpenAI and the Anthropic dialect.", "Anthropic"),
    (["What endpoints does Firstlight have?", "Which endpoints are there?", "List the endpoints.", "List the endpoints of Firstlight.", "What are the endpoints?", "Which routes does the server have?", "What HTTP endpoints are there?", "Which URLs can I call?"], "The endpoints are POST /v1/chat/completions, POST /v1/completions, POST /v1/messages, POST /v1/messages/count_tokens, GET /v1/models, GET /health, GET /health/live, GET /health/ready, and GET /metrics.", "/v1/chat/completions"),
    (["Which endpoint is for chat?", "What is the chat endpoint?", "Where do I send chat requests?", "Which endpoint does OpenAI chat use?", "How do I chat over HTTP?", "Which endpoint do I use for chat completions?", "What is the OpenAI chat endpoint?"], "Send chat requests to POST /v1/chat/completions.", "/v1/chat/completions"),
    (["Which endpoint is for text completion?", "What is the completions endpoint?", "Where do I send a plain completion?", "Which endpoint completes raw text?", "How do I complete plain text?"], "Send plain text completions to POST /v1/completions.", "/v1/completions"),
    (["Which endpoint does the Anthropic dialect use?", "What is the Anthropic endpoint?", "What is the messages endpoint?", "Where do I send Anthropic messages?", "Which endpoint is for Anthropic?", "Which endpoint speaks the Anthropic dialect?"], "The Anthropic dialect is at POST /v1/messages.", "/v1/messages"),
    (["How do I count tokens?", "Which endpoint counts tokens?", "Can the server count tokens?", "Where can I count tokens?", "What is the endpoint for counting tokens?"], "Count tokens with POST /v1/messages/count_tokens.", "count_tokens"),
    (["How do I list the models?", "Which endpoint lists the models?", "Where can I see the models?", "How can I see which models are loaded?", "What is the models endpoint?", "Which endpoint shows the models?"], "List the models with GET /v1/models.", "/v1/models"),
    (["How do I check the health?", "Which endpoint is for health?", "What is the health endpoint?", "How can I see if the server is healthy?", "Where is the health check?", "Is there a health check?"], "Check the health with GET /health. There are also GET /health/live and GET /health/ready.", "/health"),
    (["Which endpoint is for liveness?", "What is the liveness endpoint?", "How do I check that the server is live?", "Is there a liveness probe?"], "The liveness endpoint is GET /health/live.", "/health/live"),
    (["Which endpoint is for readiness?", "What is the readiness endpoint?", "How do I check that the server is ready?", "Is there a readiness probe?", "How do I know that the model is ready?"], "The readiness endpoint is GET /health/ready.", "/health/ready"),
    (["Where are the metrics?", "Which endpoint shows metrics?", "What is the metrics endpoint?", "How do I get metrics?", "Does Firstlight have Prometheus metrics?", "How can I monitor the server?"], "The metrics are at GET /metrics.", "/metrics"),
    (["What flags does Firstlight have?", "Which options are there?", "List the flags.", "What are the command line options?", "Which flags can I use?", "List the options of Firstlight.", "What options does serve have?"], "The flags are --model, --host, --port, --context, --adapter, --kv-memory, --max-batch-tokens, --log-level, --api-key, --insecure, and --config.", "--kv-memory"),
    (["How do I choose a model?", "How do I load a model?", "What does --model do?", "Which flag sets the model?", "How do I load a GGUF file?", "How can I use another model?", "Which option chooses the model?"], "Use --model with the path of a GGUF file.", "--model"),
    (["How do I change the host?", "What does --host do?", "Which flag sets the host?", "How do I listen on another address?", "How do I bind to another address?"], "Use --host to set the address that the server listens on. The default is 127.0.0.1.", "--host"),
    (["How do I change the port?", "What does --port do?", "Which flag sets the port?", "How do I use another port?", "How can I run on port 9000?", "Which option is for the port?"], "Use --port to set the port. The default is 8080.", "--port"),
    (["How do I set the context length?", "What does --context do?", "Which flag sets the context length?", "How do I change the context size?", "How can I get a longer context?"], "Use --context to set the context length in tokens.", "--context"),
    (["How do I choose the GPU?", "What does --adapter do?", "Which flag chooses the GPU?", "How do I select the adapter?", "I have two GPUs. How do I choose one?"], "Use --adapter to choose the GPU adapter.", "--adapter"),
    (["How do I limit the cache memory?", "What does --kv-memory do?", "Which flag sets the KV cache size?", "How do I set the memory for the KV cache?", "How do I limit memory?"], "Use --kv-memory to set how much memory the KV cache may use.", "--kv-memory"),
    (["What does --max-batch-tokens do?", "How do I limit the batch size?", "Which flag limits the batch?", "How do I set the number of tokens in a batch?"], "Use --max-batch-tokens to limit the tokens that are computed in one batch.", "--max-batch-tokens"),
    (["How do I see more logs?", "What does --log-level do?", "Which flag sets the log level?", "How do I change the logging?", "How do I get debug output?"], "Use --log-level to set how much is logged.", "--log-level"),
    (["How do I set an API key?", "What does --api-key do?", "Which flag sets the API key?", "How do I protect the server?", "How do I require a key?", "Can I use an API key?"], "Use --api-key to require a key from every client.", "--api-key"),
    (["What does --insecure do?", "What is --insecure for?", "Which flag allows running without a key?", "How do I open the server without a key?"], "The flag --insecure lets the server listen on other addresses without an API key.", "--insecure"),
    (["What does --config do?", "How do I use a config file?", "Which flag sets the config file?", "Can I put the options in a file?", "Where do I put my settings?"], "Use --config with the path of a configuration file.", "--config"),
    (["What commands does Firstlight have?", "Which commands are there?", "List the commands.", "What are the commands of Firstlight?", "Which subcommands exist?"], "The commands are serve, chat, doctor, logits, and bench.", "doctor"),
    (["What does the serve command do?", "How do I start the server?", "What is serve?", "How do I run Firstlight?", "Which command starts the server?", "How do I start Firstlight?"], "Run firstlight serve to start the server.", "firstlight serve"),
    (["What does the chat command do?", "How do I chat in the terminal?", "Which command starts a chat?", "Can I chat without a browser?", "How do I chat on the command line?"], "Run firstlight chat to talk with the model in the terminal.", "firstlight chat"),
    (["What does doctor do?", "What does the doctor command do?", "How do I check my setup?", "How do I find problems with my GPU?", "Which command checks the system?", "Something is wrong with my GPU. What can I do?"], "Run firstlight doctor to check your system and your GPU.", "firstlight doctor"),
    (["What does logits do?", "What does the logits command do?", "How do I print the logits?", "Which command shows logits?"], "Run firstlight logits to print the logits of a prompt.", "firstlight logits"),
    (["What does bench do?", "What does the bench command do?", "How do I measure the speed?", "Which command measures speed?", "How fast is Firstlight?", "How do I run a benchmark?"], "Run firstlight bench to measure the speed on your machine.", "firstlight bench"),
    (["What is the default address?", "Where does Firstlight listen?", "What address does the server use?", "What is the default port?", "Which port does Firstlight use?", "Where can I reach the server?", "On which port does the server run?", "What is the URL of the server?"], "Firstlight listens on 127.0.0.1:8080 by default.", "127.0.0.1:8080"),
    (["Which model files does Firstlight read?", "Which formats does Firstlight support?", "What file format are the models?", "Which model format do I need?"], "Firstlight reads models in the GGUF format.", "GGUF"),
    (["What is GGUF?", "What is a GGUF file?"], "GGUF is a file format for language models. Firstlight loads models from GGUF files.", "format"),
    (["Which models come with Firstlight?", "Is there a model included?", "Does Firstlight come with a model?", "What is the embedded model?"], "One small model comes with Firstlight: Firstlight Tiny. That is me.", "Firstlight Tiny"),
]  # fmt: skip

CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Portugal": "Lisbon",
    "England": "London", "Ireland": "Dublin", "Austria": "Vienna", "Norway": "Oslo", "Sweden": "Stockholm",
    "Denmark": "Copenhagen", "Finland": "Helsinki", "Poland": "Warsaw", "Greece": "Athens", "Japan": "Tokyo",
    "Egypt": "Cairo", "Hungary": "Budapest", "Belgium": "Brussels", "Cuba": "Havana", "Peru": "Lima",
}  # fmt: skip
FACTS = [
    (["What colour is the sky?", "What color is the sky?", "Which colour has the sky?"], "The sky is blue.", "blue"),
    (["What colour is grass?", "What color is the grass?"], "Grass is green.", "green"),
    (["What colour is snow?", "What color is snow?"], "Snow is white.", "white"),
    (["What colour is a banana?", "What color is a lemon?", "What colour is the sun?"], "It is yellow.", "yellow"),
    (["What does a cat say?", "What sound does a cat make?"], "A cat says meow.", "meow"),
    (["What does a dog say?", "What sound does a dog make?"], "A dog says woof.", "woof"),
    (["What does a cow say?", "What sound does a cow make?"], "A cow says moo.", "moo"),
    (["How many legs has a dog?", "How many legs does a cat have?", "How many legs does a horse have?"], "It has four legs.", "four"),
    (["How many legs has a spider?", "How many legs does a spider have?"], "A spider has eight legs.", "eight"),
    (["What is the opposite of hot?"], "The opposite of hot is cold.", "cold"),
    (["What is the opposite of big?"], "The opposite of big is small.", "small"),
    (["What is the opposite of up?"], "The opposite of up is down.", "down"),
    (["What is the opposite of day?"], "The opposite of day is night.", "night"),
    (["What is the opposite of good?"], "The opposite of good is bad.", "bad"),
    (["What is the opposite of open?"], "The opposite of open is closed.", "closed"),
    (["What planet do we live on?", "Which planet do we live on?"], "We live on the planet Earth.", "Earth"),
    (["How many hours are in a day?", "How many hours does a day have?"], "A day has 24 hours.", "24"),
    (["How many minutes are in an hour?"], "An hour has 60 minutes.", "60"),
    (["How many seconds are in a minute?"], "A minute has 60 seconds.", "60"),
]  # fmt: skip
TOPICS = (
    "quantum physics,the French Revolution,photosynthesis,black holes,the stock market,the theory of relativity,"
    "blockchain,inflation,the Roman Empire,machine learning,the human heart,plate tectonics,democracy,philosophy,"
    "vaccines,the second world war,general relativity,economics,chemistry,evolution,the moon landing,opera,"
    "volcanoes,the Cold War,DNA,cryptography,the speed of light,psychology,gravity,climate change,football,taxes,"
    "the Great Wall of China,Shakespeare,Mozart,Einstein,Napoleon,the pyramids,electricity,bitcoin,neural networks"
).split(",")
UNKNOWN = [
    "What is the weather in {city}?", "Who is {name}?", "Who won the world cup in {year}?", "Who was the president in {year}?", "What happened in {year}?",
    "Explain {topic}.", "What is {topic}?", "Tell me about {topic}.", "How does {topic} work?", "Write an essay about {topic}.",
    "Give me a summary of {topic}.", "Why is {topic} important?", "What do you know about {topic}?", "What do you think of {topic}?",
    "Translate {word} into Spanish.", "What is the French word for {word}?", "How do you say {word} in German?",
    "Write a Python program that sorts a list.", "Write a program in Java.", "Write code for {topic}.", "Can you write code?",
    "Write a function in JavaScript.", "Debug my code.", "What is the population of {city}?", "How old is {city}?",
    "How far is it from {city} to {city2}?", "What is the square root of {year}?", "Who wrote {word}?", "Who invented the {word}?",
    "Recommend a book about {topic}.", "What is the best restaurant in {city}?", "How do I get to {city}?", "What is the price of gold?",
    "Who is the king of {city}?", "How do I cook {word}?", "What is a {word}?", "What does {word} mean?", "Define {word}.",
    "How tall is {name}?", "What is {year} times {year}?", "Multiply {year} by 37.", "What is the history of {city}?",
    "How do I become a {job}?", "How much does a {job} earn?", "What is the news today?", "Who is the best {job} in {city}?",
]  # fmt: skip
REFUSAL = "I am a very small model; I don't know that."


def _simple(rng, table, skill, hint):
    prompts, answer, key = rng.choice(table)
    text = rng.choice(prompts)
    if skill != "talk" and len(text.split()) > 2:
        text = vary(rng, text)
    elif rng.random() < 0.2:
        text = text.lower()
    elif rng.random() < 0.2:
        text = text.rstrip(".!?")
    think = (hint[0], hint[1] + " I give a short answer.", "The user writes: " + text + " " + hint[1] + " I know the answer: " + answer)
    return Turn(text, answer, think, key, skill)


def small_talk(rng, test):
    """Greetings, thanks, feelings."""
    return _simple(rng, SMALL_TALK, "talk", ("Small talk.", "This is small talk."))


def about_self(rng, test):
    """What the model is and what it can do."""
    return _simple(rng, SELF, "self", ("About me.", "The user asks about me, Firstlight Tiny."))


def about_server(rng, test):
    """Firstlight's endpoints, flags and commands."""
    return _simple(rng, ABOUT, "firstlight", ("About Firstlight.", "The question is about the Firstlight server."))


def facts(rng, test):
    """A handful of well-known facts."""
    if rng.random() < 0.4:
        land = rng.choice(list(CAPITALS))
        text = rng.choice(["What is the capital of {}?", "What's the capital of {}?", "Which city is the capital of {}?", "Name the capital of {}.", "Tell me the capital of {}."])
        answer = f"The capital of {land} is {CAPITALS[land]}."
        think = ("A capital.", f"The user asks for the capital of {land}. It is {CAPITALS[land]}.", f"The user asks for a capital city. The country is {land}. I know that its capital is {CAPITALS[land]}.")
        return Turn(vary(rng, text.format(land)), answer, think, CAPITALS[land], "facts")
    return _simple(rng, FACTS, "facts", ("A simple fact.", "This is a simple fact."))


def unknown(rng, test):
    """Questions that are beyond a very small model, answered honestly."""
    text = rng.choice(UNKNOWN).format(
        name=some_name(rng) + " " + some_name(rng), year=rng.randint(1000, 2030), topic=rng.choice(TOPICS), word=some_word(rng),
        city=some_city(rng), city2=some_city(rng), job=rng.choice(JOBS))  # fmt: skip
    think = ("I don't know this.", "I am a small model and I don't know this. I say so honestly.", "The user writes: " + text + " I look for it in what I know, but I find nothing. It is better to be honest than to invent an answer.")
    return Turn(vary(rng, text), REFUSAL, think, "don't know", "refusal")


PLAIN = {p for table in (SMALL_TALK, SELF, ABOUT, FACTS) for prompts, _, _ in table for p in prompts}


def keep_for_test(turn):
    """Whether a prompt belongs to the evaluation; the plain forms of closed lists never do."""
    return turn.user not in PLAIN and held_out(turn.user, 12)
