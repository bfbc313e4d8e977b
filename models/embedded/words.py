"""Closed word lists, invented words, and the split between training and evaluation."""

import zlib

NAMES = (
    "Ada Alan Alice Amir Amy Anna Ben Bella Bob Boris Carla Carlos Chen Clara Daniel David Dora "
    "Elena Eli Ella Emil Emma Eva Fatima Felix Finn Frank Grace Greta Hana Hans Harry Hugo Ida "
    "Igor Ines Iris Ivan Ivy Jack Jade James Jana Jane Joe John Jonas Julia Kai Karl Kate Kim "
    "Lara Lars Laura Lena Leo Liam Lily Linda Lisa Lucas Lucy Luna Maria Mark Marta Martin Mary "
    "Max Maya Mia Mike Milo Mira Mona Nadia Nick Nina Noah Nora Olga Oliver Omar Oscar Otto "
    "Paul Pablo Peter Petra Pia Priya Quinn Rania Ravi Rita Robert Robin Rosa Ruby Sally Sam "
    "Sara Sarah Simon Sofia Stella Susan Tara Theo Tim Tina Tom Uma Vera Victor Walter Wendy "
    "William Yara Yuki Yusuf Zoe Zara Sophie Thomas Michael Charlie Henry George Charlotte Amelia "
    "Isabella Ethan Mason Logan Aiden Chloe Zelda Edward Margaret Grover Linus Dennis Barbara"
).split()
COLOURS = (
    "red blue green yellow orange purple pink brown black white grey gold silver turquoise violet "
    "crimson teal indigo magenta beige lavender maroon"
).split()
CITIES = (
    "Paris London Berlin Rome Madrid Vienna Oslo Lisbon Dublin Prague Athens Helsinki Warsaw "
    "Budapest Brussels Amsterdam Zurich Geneva Munich Hamburg Milan Naples Venice Florence Porto "
    "Seville Barcelona Lyon Nice Tokyo Kyoto Osaka Seoul Beijing Shanghai Mumbai Delhi Cairo "
    "Nairobi Lagos Sydney Melbourne Toronto Montreal Vancouver Boston Chicago Seattle Denver Dallas "
    "Austin Miami Lima Bogota Quito Havana Santiago Istanbul Dubai Bangkok Hanoi Manila Reykjavik "
    "Stockholm Copenhagen Edinburgh Glasgow Krakow Tallinn Riga Vilnius Leipzig Dresden Cologne"
).split()
ANIMALS = (
    "cat dog fox rabbit mouse bear owl hedgehog squirrel frog duck horse pony turtle goat sheep "
    "parrot penguin dolphin whale lion tiger monkey badger otter beaver swan robin snail dragon"
).split()
FOODS = (
    "pizza pasta soup rice bread cheese sushi salad curry cake chocolate pancakes apples bananas "
    "noodles tacos dumplings lasagna waffles strawberries potatoes honey omelette falafel ramen"
).split()
DRINKS = "tea coffee water milk juice lemonade cocoa cider".split()
HOBBIES = (
    "chess painting reading running swimming cycling gardening singing dancing cooking hiking "
    "fishing drawing sailing knitting climbing skating writing photography astronomy"
).split()
JOBS = (
    "teacher doctor nurse baker farmer pilot painter writer singer engineer carpenter gardener "
    "lawyer chef plumber librarian dentist driver tailor scientist"
).split()
INSTRUMENTS = "piano guitar violin flute drums cello trumpet harp clarinet banjo".split()

COMMON = (
    "about above accept across action active actor addition adult advice afraid after again agree "
    "airport alarm album almost alone along already always amount anchor angel anger angle animal "
    "answer apple april apron arch area argue arm army around arrow artist aside ask atom attic "
    "august aunt author autumn awake away baby back bag bake balance ball balloon bamboo banana "
    "band bank barn basket bath battle beach bean beauty become bed bee before begin behind bell "
    "belong below bench berry best better between bicycle big bird birth biscuit bitter blanket "
    "blossom board boat body bone book boot border bottle bottom bowl box boy brain branch brave "
    "break breakfast breath brick bridge bright bring broken brother brush bucket build bull "
    "burn bus bush business butter butterfly button buy cabin cable cactus cage calm camel camera "
    "camp candle candy canoe canvas cap captain car card care carpet carrot carry castle catch "
    "cause cave ceiling cell center chain chair chalk chance change chapter charm cheap check cheek "
    "cherry chest chicken child chin choice church circle circus city class clean clear clever "
    "cliff climb clock close cloth cloud clown coach coast coat coin cold collar colour comb come "
    "comfort common computer cook cool copper copy coral corner correct cotton cough count country "
    "courage cousin cover cow crab cradle crane crayon cream cricket cross crowd crown cruel cry "
    "cup curtain curve cushion cut daily damage damp dance danger dark date daughter day deep deer "
    "degree desert desk detail diamond different dinner dirty distance doctor doll door double doubt "
    "down dozen drawer dream dress drink drive drop drum dry dust eagle ear early earth east easy "
    "echo edge effect egg eight elbow elephant eleven empty end enemy energy engine enjoy enough "
    "entry equal escape evening event every example exit expert eye face fact fair fall family "
    "famous far farm fast father fault favour fear feather feel fence fever field fig fight film "
    "final find finger finish fire firm first fish five flag flame flat flavour float flood floor "
    "flour flow flower fly fog fold follow foot forest forget fork form forward fountain four "
    "free freedom fresh friend front frost frozen fruit full funny future galaxy game garage garden "
    "garlic gate general gentle ghost giant gift giraffe girl give glad glass globe glove glue goal "
    "good goose grain grand grape grass gravity great green ground group grow guard guess guest "
    "guide habit hair half hall hammer hand handle happy harbour hard harvest hat hawk head health "
    "hear heart heat heavy height hello help hen hero hidden high hill history hold hole holiday "
    "home honest hope horn hospital hotel hour house human humble hungry hurry ice idea image "
    "important insect inside iron island jacket jam jar jelly jewel job join joke journey judge "
    "juice jump jungle just keep kettle key kick kind king kitchen kite kitten knee knife knock "
    "know label ladder lady lake lamb lamp land language lantern large last late laugh law layer "
    "lazy lead leaf learn leather leave left leg lemon lesson letter level library lid life light "
    "like line lip liquid list listen little live lizard loaf lock lonely long look loud love low "
    "luck lunch machine magic magnet mail make mango many map marble march market mask master match "
    "matter maybe meadow meal measure meat medal meet melon memory message metal middle mile milk "
    "mind mine minute mirror mistake model moment money month moon morning mother motor mountain "
    "mouth move mud muscle museum mushroom music nail narrow nation nature near neck needle nest "
    "net never new news night nine noise north nose note number nut oak ocean october office oil "
    "old olive onion open orange orbit order other oven owner page pain pair palace palm pan panda "
    "paper parade parent park part party past path peace peach peanut pear pearl pebble pen pencil "
    "people pepper perfect person picnic picture piece pig pillow pine pipe pirate place plain plan "
    "plane planet plant plate play plum pocket poem poet point pole polite pond pool poor popcorn "
    "post pot powder power present press pretty price prince print prize problem promise proud public "
    "pull pumpkin pupil puppy pure purpose push puzzle pyramid quality quarter queen question quick "
    "quiet quilt race radio rain rainbow raisin raven reach ready real reason record remember repeat "
    "rest rhythm ribbon rich riddle right ring river road robot rock rocket roof room root rope "
    "rose rough round royal rubber rule run safe sail salt same sand sandwich saturn school science "
    "scissors score sea seal search season seat second secret seed sell send sense seven shadow shape "
    "share sharp shelf shell shine ship shirt shoe shop short shoulder shout show shower side sign "
    "signal silent silk simple sing sister six size skin sky sleep sleeve slow small smart smell "
    "smile smoke smooth snake snow soap soccer sock soft soil soldier song soul sound south space "
    "spark speak special speed spell spider spoon spring square stage stairs stamp star start station "
    "statue steam steel stem step stick still stomach stone stop storm story stove straight strange "
    "stream street string strong student sugar summer sun sunset sweet swim swing sword symbol system "
    "table tail talent talk tall target taste teach team tear temple tennis tent test thank theatre "
    "thing think thread three throat throne thumb thunder ticket tide time tiny tired title toast "
    "today toe together tomato tomorrow tongue tooth torch total touch tower town toy track trade "
    "train travel treasure tree triangle trick trip true trunk trust truth tulip tunnel turn twelve "
    "twenty twin two umbrella uncle under unit universe until valley value vase velvet village "
    "vision visit voice volcano volume voyage wagon waiter walk wall walnut warm wash watch water "
    "wave wax weak wealth weather week weight welcome west wet wheat wheel whisper whistle wide wild "
    "window wing winter wisdom wish wolf woman wonder wood wool word work world worm worry write "
    "wrong yard year yellow young zebra zero zone firstlight kernel server token prompt adapter"
).split()
NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
).split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = (
    "January February March April May June July August September October November December"
).split()
LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ONSETS = "b c d f g h j k l m n p r s t v w z br cr dr fl gr kl pl pr sh sk st th tr".split()
_VOWELS = "a e i o u a e i o ai ea oo".split()
_CODAS = ["", "", "", "n", "r", "l", "s", "t", "k", "m", "x", "nd", "st", "rk"]


def held_out(key, share=10):
    """Whether an item is kept for evaluation: a fixed tenth, by checksum of its text."""
    return zlib.crc32(key.lower().encode()) % share == 0


def syllables(rng, low=1, high=3):
    """An invented, pronounceable lower-case word."""
    return "".join(
        rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS)
        for _ in range(rng.randint(low, high))
    )


def random_letters(rng, low=3, high=9):
    """A string of random letters."""
    return "".join(rng.choice(LETTERS) for _ in range(rng.randint(low, high)))


def some_word(rng, test=None):
    """A word of 3 to 10 letters; only invented ones and random letters are held out."""
    while True:
        r = rng.random()
        if r < 0.5:
            word = rng.choice(COMMON)
        elif r < 0.6:
            word = rng.choice(ANIMALS + COLOURS + FOODS + HOBBIES + JOBS)
        elif r < 0.8:
            word = syllables(rng)
        else:
            word = random_letters(rng)
        listed = r < 0.6
        if 3 <= len(word) <= 10 and (test is None or listed or held_out(word) == test):
            return word


def some_name(rng, test=None):
    """A first name, sometimes an invented one."""
    while True:
        name = rng.choice(NAMES) if rng.random() < 0.6 else syllables(rng, 1, 2).capitalize()
        if test is None or held_out(name) == test:
            return name


def some_city(rng, test=None):
    """A city, sometimes an invented one."""
    while True:
        city = rng.choice(CITIES) if rng.random() < 0.7 else syllables(rng, 2, 3).capitalize()
        if test is None or held_out(city) == test:
            return city
