"""Words that identify a language where the character model errs: similar languages, and romanised ones.

In: a text of plain words in lower case, and the model's guess. Out: a better guess, or the same.
"""

from __future__ import annotations

from typing import NamedTuple

ROMANISED_BELOW = 0.5  # guesses above this confidence are not checked for romanised words
ROMANISED_SHARE = 0.35  # of the words, at least; and two


class Close(NamedTuple):
    """Two similar languages, with words that only one of them has or spells this way."""

    one: str
    other: str
    of_one: frozenset[str]
    of_other: frozenset[str]
    letters: tuple[str, str] = ("", "")  # that only the one has, and only the other


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CLOSE = (
    Close(
        "da",
        "no",
        _words(
            "af mig dig sig nu meget efter gøre gør hvad noget nogle nogen tak brug jer jeres vores bliver blive blev "
            "hvornår hjælp hjælpe uge uger bog igen ud op måske spørgsmål mellem gerne altså hedder synes hen siger sagde "
            "uden imod fejl sker sket lavet først stadig dog selvom fordi"
        ),
        _words(
            "av meg deg seg nå mye etter gjøre gjør hva noe noen takk trenger trenge dere vår vårt våre blir bli ble når "
            "hjelp hjelpe uke uker bok igjen ut opp kanskje spørsmål mellom gjerne heter sier å uten skjer skjedd laget "
            "fortsatt veldig"
        ),
    ),
    Close(
        "id",
        "ms",
        _words(
            "butuh bisa karena uang kantor bahwa ingin kalian nggak gak enggak sih dong banget gimana kenapa aja udah pakai "
            "tagihan gratis mobil senin jumat ponsel beda coba bilang tolong perusahaan resmi"
        ),
        _words(
            "perlukan boleh kerana wang pejabat bahawa hendak awak percuma kereta ialah mahu macam takde tak nak bil kedai "
            "isnin jumaat berbeza cuba cakap sila encik puan kawan sahaja manakala syarikat rasmi"
        ),
    ),
    Close(
        "af",
        "nl",
        _words("nie hy sy ek jy jou hulle vir baie deur wees hê sal se gesê kry julle wil asseblief dankie hoekom vandag by lyk"),
        _words(
            "de niet hij zij ik jij je jouw zijn voor naar bij door heeft hebben wordt worden ze zal mij mijn graag bedankt "
            "alsjeblieft vandaag"
        ),
    ),
    Close(
        "cs",
        "sk",
        _words("jsou jsem být který která které jako pro nebo také když jak"),
        _words("sú som byť ktorý ktorá ktoré ako pre alebo tiež keď aj"),
        ("ěřů", "ľĺŕôä"),
    ),
)
# How people write in Latin letters who have no others at hand; digits that stand for letters (3andi) are gone when these are read.
ROMANISED = {
    "hi": _words(
        "hai hain hoon hun ho tha thi kya kyu kyun kyon kaise kaisa kab kahan kahaan kaun mujhe mujhko mera meri mere "
        "tera teri tum tumhe tumhara aap aapka aapki aapko hum humko hamara yeh ye woh wo isme isko iska uska usme usko "
        "nahi nahin mat aur lekin agar toh bhi sirf bahut bohot accha acha theek thik karo karna kar karta karte karun "
        "raha rahi rahe gaya gayi aaya aayi ja jao jata baat kuch koi sab abhi aaj kal shaam subah ko se ka ki ke mein "
        "bhai yaar samajh batao bata chahiye dekho suno paisa"
    ),
    "ar": _words(
        "fel fil el al ana enta enti inta inti howa huwa heya hiya ehna andi ando andak mesh mish mush msh moshkela "
        "mushkila mushkele kif kifak keef ezay ezayak leh lesh leish lih fein wein win emta shu eh aywa aiwa la wala "
        "walla wallah habibi habibti inshallah hamdulillah yalla bas lessa ayez ayz awez biddi baddi bta ya ni ma ala "
        "alek kont kunt kol kteer ktir keda fatoura shukran salam labes bezzaf wach kayn dyal chno"
    ),
    "ru": _words(
        "privet kak dela chto eto ya ty on ona my vy oni ne net da mne menya tebya nas vas kogda gde pochemu zachem "
        "spasibo pozhaluysta pozhalujsta mozhno nado nuzhno hochu khochu est byl byla ochen tolko esli ili tak uzhe "
        "eshche esche menya u dlya skolko segodnya zavtra"
    ),
}


def corrected_language(text: str, code: str, confidence: float) -> str:
    """The corrected language of a text that the model takes for `code`, with this confidence."""
    words = text.split()
    for close in CLOSE:
        if code in (close.one, close.other):
            hits = [
                sum(word in known for word in words) + sum(letter in own for letter in text)
                for known, own in zip((close.of_one, close.of_other), close.letters, strict=True)
            ]
            return code if hits[0] == hits[1] else (close.one if hits[0] > hits[1] else close.other)
    return romanised(words) or code if confidence < ROMANISED_BELOW else code


def romanised(words: list[str]) -> str:
    """The language whose romanised words make up enough of the text; "" where there is none."""
    hits = {code: sum(word in known for word in words) for code, known in ROMANISED.items()}
    code = max(hits, key=lambda name: (hits[name], name))
    return code if hits[code] >= max(2, ROMANISED_SHARE * len(words)) else ""
