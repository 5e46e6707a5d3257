"""The practice corpus: 5,000 short English sentences in which a speaker tells of one of six emotions.

The sentences are synthetic: a small grammar puts them together from the word lists below, so nothing is
downloaded and nobody's diary is in it. They look like the real data (first person, lower case, no punctuation)
and are built to teach:

- negation ("i am not angry just homesick") and contrast ("i thought i would be thrilled but my heart sank"):
  the label is what the speaker really feels, so the order of the words matters and not only their presence;
- other people ("my brother was furious but i only felt relieved"): their emotion is not the label;
- intensity ("a bit nervous", "absolutely terrified"), idioms ("over the moon", "my blood was boiling") and
  situations without any word of emotion ("we share one umbrella and neither of us minds getting wet");
- a long tail: number r in a list of words or of sentence shapes is drawn with weight 1 / r (Zipf, 1949), so the
  end of the list is rare in the training split or missing there, as in real text;
- label noise: exactly the share `NOISE` of the labels in each split is wrong on purpose.

Figures measured on this corpus say something about the method and nothing about real people's writing.
"""

import hashlib
import random
import re
from bisect import bisect
from collections.abc import Iterable
from functools import cache
from itertools import accumulate

LABELS: list[str] = ["sadness", "joy", "love", "anger", "fear", "surprise"]
"""Label names; the position is the label's integer, in the order of the `emotion` data set."""

NOISE: float = 0.04
"""Share of rows in each split whose label is wrong on purpose; accuracy above 1 - NOISE can't be expected."""

SHA256: str = "29dfdee37b1463c36fe78df8e88796d2e2ab793ffdf9f8287309e48fd336183b"
"""What `digest(build())` gives, on every platform."""

SIZES: dict[str, int] = {"train": 4000, "validation": 500, "test": 500}
"""Rows in each split."""

PERCENT: dict[str, int] = {"sadness": 29, "joy": 34, "love": 8, "anger": 13, "fear": 12, "surprise": 4}
"""Rows of each label in a hundred (before the label noise), as in the real data."""

WORDS: range = range(4, 36)
"""The lengths, in words, that a sentence may have."""

# The grammar. Each entry is a list of alternatives, parted by commas; {name} is replaced by an alternative of the
# entry `name`, in the speaker's emotion, and {other name} by one in an emotion that the speaker does not have.
_SENTENCE = {
    "plain": """{now} i feel {state} {about}, {now} i am {state} {about}, {then} i was {state} {about},
        {then} i felt {state} because {scene}, i am {state} because {scene}, i must admit that i am {state} {about},
        i was so {word} {about} that {sign}, {kin} asked how i was and i said {word},
        i woke up {word} and went to bed {word}, i have never felt so {word} {about},
        i feel {state} and i do not care who knows it, {now} i am {state} and {kin} has noticed,
        i have been {state} {about} for {number} days, behind all the jokes i was {state}""",
    "implied": """{scene}, {scene} and {sign}, {then} {sign}, when {kin} told me the news {sign},
        the short version is that {scene}, it finally sank in that {scene}, i keep telling people that {scene},
        i wrote in my diary that {scene}, after the phone call with {kin} {sign}, {kin} opened the envelope and {sign}""",
    "negation": """i am not {other word} {about} just {word}, i am not even a little {other mild} {about} just {state},
        it is not that i am {other word} {about} i am simply {word}, i am {state} {about} and not {other word} at all,
        no i am not {other word} {about} i am {state}, i could not be more {strong} {about},
        i am anything but {other word} {about} i am {word},
        i have stopped being {other word} {about} and {now} i am {state}, nobody can call me {other word} now that {scene},
        it would be a lie to say that i am not {word} {about},
        it takes more than this to make me {other word} i am {state},
        if i were not so {word} {about} i would be {other word}""",
    "contrast": """i thought i would be {other word} {about} but i am {state},
        i thought i would be {other word} but {sign}, how can i be {other word} when {scene},
        i was {other word} until i remembered that {scene}, one minute i was {other word} {about} and the next {sign},
        i expected to be {other word} {about} but when it came to it i was {state},
        i should be {other word} because {other scene} but i am {state}, i am {state} even though {other scene},
        i may sound {other word} {about} but i am {word}, last year i was {other word} {about} and this year i am {word},
        i am {state} {about} although once i was {other word}, i went from {other word} to {word} in {number} minutes,
        instead of being {other word} {about} i feel {state},
        i am {word} now and hardly remember how {other word} i was {about},
        i started the day {other word} and ended it {word}, i wish i were {other word} {about} but i am {state},
        who could stay {other word} when {scene}, i would rather be {other word} than {word} {about} but here we are,
        i told {kin} that i was {other word} because it is what people like to hear but really i am {state},
        i know that {other scene} and that i ought to be {other word} but to be honest i am {state}""",
    "others": """{kin} was {other word} {about} but i only felt {word}, {then} i was {state} while {kin} was {other state},
        everyone else seems {other word} {about} and i am {state},
        i am {state} {about} no matter how {other word} {kin} is, {kin} was {other word} because {other scene} yet {sign},
        {kin} was {other word} and yet {sign}, {kin} thinks i am {other word} {about} and has no idea that i am {word},
        i feel {state} {about} and {kin} feels {other word}, when {kin} came home {other word} i was {state},
        i am the only one who is {word} {about} and the rest are {other word},
        {kin} keeps asking why i am {word} {about} and not {other word}, i said i was {word} and {kin} heard {other word},
        the more {other word} {kin} became the more {word} i felt,
        i wish i could stop being {word} {about} and be {other word} like {kin},
        {kin} was {other word} and {kin} was {other word} as well and there i stood {state} {about}""",
}
_SHARED = {
    "state": "{very} {mild}, {utterly} {strong}, {phrase}",
    "word": "{mild}, {strong}",
    "very": ", very, so, really, a bit, a little, rather, quite, pretty, more than a little",
    "utterly": ", completely, absolutely, utterly, totally, thoroughly, altogether",
    "now": ", , , today, these days, right now, this week, this morning, lately, at the moment",
    "then": "last night, , , yesterday, on {day}, without warning, at breakfast, in {month}, in the end",
    "about": """, , about the move, about the new job, about the trip to {city}, about the wedding, about {kin},
        about the dinner with {kin}, about the letter from {kin}, about the news, around {kin}, about it all,
        at the thought of {city}, at the thought of {kin}, after the phone call, about the exam, about the baby,
        about the house, after the concert, at the sight of {kin}, at school, next to {kin}, at the wedding,
        over dinner with {kin}, about my {number} cats""",
    "kin": """my brother, my mother, my best friend, my sister, my father, my wife, my husband, my boss, my neighbour,
        my grandmother, my partner, my aunt, my roommate, my cousin, my girlfriend, my boyfriend, my uncle, my son,
        my daughter, my teacher, the man next door""",
    "partner": "my wife, my husband, my girlfriend, my boyfriend, my partner, the one i married, my sweetheart",
    "number": "two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, twenty, thirty, forty",
    "day": "monday, tuesday, wednesday, thursday, friday, saturday, sunday",
    "month": "january, march, april, may, june, july, august, october, november, december",
    "city": "paris, london, rome, lisbon, boston, oslo, cairo, dublin, prague, athens, chicago, vienna",
}
_EMOTION = {
    "sadness": {
        "mild": """sad, lonely, unhappy, down, disappointed, hurt, gloomy, homesick, miserable, low, glum, blue, tearful,
            sorrowful, melancholy, downcast, dejected, forlorn, mournful, wistful, crestfallen, despondent, morose""",
        "strong": """heartbroken, devastated, hopeless, crushed, shattered, grief stricken, inconsolable, desolate, gutted,
            wretched, bereft, broken hearted, despairing, anguished, disconsolate""",
        "phrase": """close to tears, down in the dumps, in low spirits, heavy hearted, at rock bottom, in mourning,
            sick at heart, all cried out, lost in grief""",
        "sign": """my heart sank, i cried in the car, i had a lump in my throat, i ate dinner without tasting it,
            i cried my eyes out, i could not get out of bed, everything looked grey, i wept into the washing up,
            i stared at the old photos until dark, i went to bed at noon and faced the wall, my eyes filled up,
            i buried my face in the pillow""",
        "scene": """my grandmothers chair has been empty since {month}, nobody came to my birthday party,
            we buried the old dog under the apple tree in {month}, i set two plates for dinner and put one back,
            my best friend moved to {city} and stopped writing, the house has been silent since the funeral,
            the last voicemail from {kin} is all that is left, nobody saved me a seat at lunch again,
            the doctors said there was nothing more they could do for {kin},
            i lost the job i had worked {number} years for, they tore down the house i grew up in,
            my marriage ended in {month} and so did my sundays, everyone but me was invited to the wedding in {city}""",
    },
    "joy": {
        "mild": """happy, glad, cheerful, proud, excited, pleased, content, merry, optimistic, relieved, jolly, upbeat,
            playful, lighthearted, carefree, chirpy, perky, bubbly, sunny, mirthful, buoyant""",
        "strong": """thrilled, delighted, overjoyed, ecstatic, elated, triumphant, jubilant, euphoric, radiant, blissful,
            exhilarated, gleeful, exultant, rapturous""",
        "phrase": """over the moon, on top of the world, on cloud nine, in high spirits, full of joy, pleased as punch,
            all smiles, in seventh heaven, tickled pink""",
        "sign": """i could not stop grinning, i danced in the kitchen, i sang all the way home, i jumped for joy,
            i laughed until my cheeks hurt, i was walking on air, i high fived a stranger, i punched the air,
            i hummed through the whole shift, i was grinning from ear to ear, i skipped down the stairs,
            i opened the good bottle and called everyone""",
        "scene": """i passed the exam with the best mark of the year, we won the cup after {number} years of trying,
            the doctor said the scan is clear, my daughter took her first steps on {day}, i got the job in {city},
            it snowed overnight and school is closed, {kin} is coming home for christmas after {number} months,
            i paid off the last of my debts in {month}, my tomatoes won first prize, the whole street sang for my birthday,
            i crossed the finish line with {number} minutes to spare, my first novel comes out in {month},
            the baby slept through the night at last""",
    },
    "love": {
        "about": """around {partner}, toward {partner}, at the sight of {partner}, , next to {partner}, ,
            at the thought of {partner}, over dinner with {partner}, in the arms of {partner}, at the wedding,
            around {kin}, after {number} years with {partner}""",
        "mild": """fond, loving, tender, affectionate, romantic, caring, devoted, attached, passionate, sentimental,
            soft hearted, amorous, doting, warm hearted""",
        "strong": "smitten, adoring, besotted, infatuated, enamoured, lovestruck, lovesick, starry eyed",
        "phrase": """in love, head over heels, madly in love, full of tenderness, full of affection, full of love,
            hopelessly devoted, bound heart and soul, lost in love""",
        "sign": """my heart melted, i fell in love all over again, i lost my heart on the spot,
            i kissed the phone goodnight, i wanted us to grow old together, i only had eyes for {partner},
            i drew hearts in the margin, i held {partner} and did not let go, i wrote our names on the window,
            i wanted to hold that hand forever, i counted the hours until we could hug,
            i wore the sweater that smells of {partner}""",
        "scene": """{partner} warms my side of the bed before i get in, i carry a photo of {partner} in my wallet,
            we have slow danced in the kitchen every {day} for {number} years, {partner} still saves me the last bite,
            we share one umbrella and neither of us minds getting wet, i kept every letter that {partner} sent me,
            {partner} fell asleep on my shoulder and i did not move, our hands find each other under every table,
            i would cross the ocean for one evening with {partner}, {partner} learned to knit to make me a scarf,
            i know the footsteps of {partner} among a hundred, the baby wrapped one tiny fist around my finger""",
    },
    "anger": {
        "mild": """angry, annoyed, mad, irritated, frustrated, bitter, cross, grumpy, resentful, irritable, cranky,
            indignant, grouchy, hostile, exasperated, disgruntled, peeved, testy, vexed, miffed""",
        "strong": "furious, outraged, enraged, livid, fuming, infuriated, seething, irate, incensed, incandescent",
        "phrase": """fed up, ready to explode, hot under the collar, up in arms, hopping mad, in a rage, in a foul temper,
            red with rage, out of patience""",
        "sign": """my blood was boiling, i slammed the door, i saw red, i lost my temper with the printer, i hit the roof,
            i hung up in the middle of a sentence, i tore the bill in half, i clenched my fists under the table,
            i gave them a piece of my mind, i shouted at the radio, steam was coming out of my ears,
            i wrote an email in capital letters""",
        "scene": """someone scratched my new car and drove off, {kin} took the credit for my work again,
            the man upstairs drills from dawn every {day}, {kin} read my diary to the whole table,
            they cancelled my flight to {city} and kept the money, {kin} lied to my face about the money,
            i waited {number} hours for a plumber who never called, someone ate the lunch with my name on it,
            the landlord raised the rent again and the roof still leaks, they charged me twice and blamed me for it,
            the boy behind me kicked my seat all the way to {city}, {kin} crashed my bike and did not apologise,
            my promotion went to the nephew of the boss""",
    },
    "fear": {
        "mild": """scared, afraid, nervous, worried, anxious, uneasy, frightened, tense, shaky, fearful, apprehensive,
            jittery, wary, alarmed, timid, edgy, jumpy, spooked, unnerved, skittish""",
        "strong": "terrified, petrified, panicked, horrified, panic stricken, frantic, scared stiff, terror stricken",
        "phrase": """on edge, sick with worry, full of dread, frozen with fear, in a cold sweat, frightened to death,
            white as a sheet, in a blind panic, on tenterhooks""",
        "sign": """i had butterflies in my stomach, my hands would not stop shaking, i checked the lock {number} times,
            my heart was in my mouth, my knees turned to jelly, i slept with the light on, a chill ran down my spine,
            i broke out in a cold sweat, i hid under the blanket, my stomach was in knots, my hair stood on end,
            i ran home without looking back""",
        "scene": """someone has been following me since the station, the doctor wants to see me again before {day},
            footsteps came up the stairs and i live alone, the plane dropped and the lights went out,
            {kin} has not answered the phone since {day}, i have to speak in front of {number} hundred people on {day},
            a shadow moved behind the curtain, the ice cracked under my boots, the lump is bigger than it was in {month},
            the brakes stopped working on the hill, a strange number calls at midnight and only breathes,
            the smoke alarm went off and the door was hot, a dog the size of a pony growled at me""",
    },
    "surprise": {
        "mild": "surprised, startled, bewildered, puzzled, taken aback, baffled, perplexed, wide eyed, mystified",
        "strong": """amazed, astonished, shocked, stunned, speechless, astounded, dumbfounded, flabbergasted, gobsmacked,
            thunderstruck, staggered, awestruck, dumbstruck""",
        "phrase": "lost for words, blown away, caught off guard, in awe, bowled over, struck dumb, knocked sideways",
        "sign": """my jaw dropped, i had to read it twice, i could not believe my eyes, i nearly fell off my chair,
            i rubbed my eyes and looked again, i never saw it coming, i dropped my fork, my eyebrows hit the ceiling,
            you could have knocked me over with a feather, i pinched myself, i stood there with my mouth open""",
        "scene": """{number} people jumped out from behind my sofa, it snowed in {city} in july,
            the bank says that i own a boat, {kin} speaks fluent japanese and never told anyone,
            i found a hedgehog asleep in my sock drawer, the old painting from the attic is worth {number} million,
            the cat came back after {number} years, the stranger on the train turned out to be my twin,
            {kin} ran off to join the circus, {kin} who burns toast won the baking contest,
            my {number} year old nephew beat me at chess, i met my old teacher on top of a mountain in peru""",
    },
}


def build(clean: bool = False) -> dict[str, list[tuple[str, str]]]:
    """The three splits of the corpus, the same on every call and every machine.

    Only `random.Random(seed).random()` is drawn from, the one sequence that Python promises to keep.

    Args:
        clean: True gives the labels as intended, without the label noise; texts and order stay the same.

    Returns:
        "train", "validation" and "test", each a list of (text, label name); no text occurs twice anywhere.
    """
    rng = random.Random(2018)
    seen: set[str] = set()
    corpus = {}
    for split, size in SIZES.items():
        labels = [label for label in LABELS for _ in range(size * PERCENT[label] // 100)]
        rows = _shuffled(rng, [(_new_text(rng, label, seen), label) for label in labels])
        for row in _shuffled(rng, range(size))[: round(size * NOISE)]:
            text, label = rows[row]
            wrong = _draw(rng, [other for other in LABELS if other != label])
            rows[row] = (text, label if clean else wrong)
        corpus[split] = rows
    return corpus


def digest(corpus: dict[str, list[tuple[str, str]]]) -> str:
    """SHA-256 of the corpus written as UTF-8 lines "split TAB text TAB label", each ended by a newline.

    Args:
        corpus: rows by split, as `build` returns them; the order of splits and rows counts.
    """
    lines = (f"{split}\t{text}\t{label}\n" for split, rows in corpus.items() for text, label in rows)
    return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()


def _new_text(rng: random.Random, label: str, seen: set[str]) -> str:
    """A sentence whose speaker feels `label`, with nobody named twice and not in `seen`, to which it is added."""
    while True:
        shape = _draw(rng, list(_SENTENCE))
        text = _fill(rng, _draw_zipf(rng, _options(_SENTENCE[shape])), label, _other(rng, label))
        twice = any(text.count(person) > 1 for person in _options(_SHARED["kin"]))
        if text not in seen and not twice and len(text.split()) in WORDS:
            seen.add(text)
            return text


def _other(rng: random.Random, label: str) -> str:
    """An emotion to mislead with, as frequent as among the labels; joy and love are too close to be opposed."""
    close = {"joy", "love"} if label in ("joy", "love") else {label}
    return _draw(rng, [other for other in LABELS if other not in close for _ in range(PERCENT[other])])


def _fill(rng: random.Random, template: str, label: str, other: str) -> str:
    """The template with every {slot} replaced, from left to right, and single spaces."""

    def alternative(slot: re.Match) -> str:
        mine, theirs = (other, label) if slot["other"] else (label, other)
        options = _options(_EMOTION[mine].get(slot["name"]) or _SHARED[slot["name"]])
        draw = _draw_zipf if slot["name"] in ("mild", "strong", "phrase") else _draw
        return _fill(rng, draw(rng, options), mine, theirs)

    return " ".join(re.sub(r"\{(?P<other>other )?(?P<name>\w+)\}", alternative, template).split())


@cache
def _options(text: str) -> list[str]:
    """The alternatives of an entry of the grammar."""
    return [" ".join(option.split()) for option in text.split(",")]


def _draw(rng: random.Random, options: list[str]) -> str:
    """One of the options, all equally likely."""
    return options[int(rng.random() * len(options))]


def _draw_zipf(rng: random.Random, options: list[str]) -> str:
    """One of the options, number r (from 1) with weight 1 / r."""
    weights = list(accumulate(1 / (rank + 1) for rank in range(len(options))))
    return options[bisect(weights, rng.random() * weights[-1])]


def _shuffled(rng: random.Random, items: Iterable) -> list:
    """The items in random order."""
    return [item for _, item in sorted(((rng.random(), item) for item in items), key=lambda pair: pair[0])]
