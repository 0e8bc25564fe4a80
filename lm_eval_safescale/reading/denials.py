"""Whether a clause denies, lacks or supposes what it says, and whether what follows a choice takes
it back. It knows nothing of options.
"""

from __future__ import annotations

import re

from lm_eval_safescale.reading import doubts, languages
from lm_eval_safescale.reading.vocabulary import Vocabulary

_I = re.IGNORECASE
_DENIALS_ABROAD = tuple(language.denies for language in languages.LANGUAGES.values())
_ABROAD = Vocabulary(*_DENIALS_ABROAD)
_DENIES = Vocabulary(doubts.DENIES, *_DENIALS_ABROAD)
_ELIDED = re.compile(r"\bn['’][aeéèêiouyh]", _I)
_HAN = re.compile(languages.HAN_DENIES)
_NO_ALONE = re.compile(doubts.NO_ALONE, _I)
_LACKS = Vocabulary(doubts.LACKS)
_NO = re.compile(r"\bno(?= \w)", _I)
_NO_DENIAL = re.compile(doubts.NO_DENIAL, _I)
_SUPPOSES = re.compile(doubts.SUPPOSES, _I)
_REASON = re.compile(rf"\b(?:because|since|as)\b|{languages.REASONS}", _I)


def denies(clause: str) -> bool:
    """Whether a clause denies what it says, in any language."""
    clause = _NO_DENIAL.sub(" ", clause)
    return (
        _DENIES.stands_in(clause)
        or _NO_ALONE.search(clause) is not None
        or _denies_otherwise(clause)
    )


def lacks(clause: str) -> bool:
    """Whether a clause says that something is absent or less: that denies a finding, but no
    answer."""
    clause = _NO_DENIAL.sub(" ", clause)
    return _NO.search(clause) is not None or _LACKS.stands_in(clause)


def supposes(sentence: str) -> bool:
    """Whether a sentence states a condition."""
    return _SUPPOSES.search(sentence) is not None


def denies_abroad(clause: str) -> bool:
    """Whether the rest of a clause denies in another language than English, where denials stand
    anywhere; not in a reason it gives."""
    clause = _REASON.split(clause)[0]
    return _ABROAD.stands_in(clause) or _denies_otherwise(clause)


def _denies_otherwise(clause: str) -> bool:
    """Elided ("n'est"), or in a language without spaces."""
    return _ELIDED.search(clause) is not None or (
        not clause.isascii() and _HAN.search(clause) is not None
    )


# --- behind a choice ------------------------------------------------------------------------------

_OTHER_LETTER = r"(?: (?:the )?(?:option|choice|answer))?[ \"'(]{1,3}[A-Z]\b"
_PRONOUN = r"(?:which|that|this|it)(?: (?:answer|choice|option|one))?"
_ADVERB = r"(?:(?:\w{1,12}ly|also|still|in fact|just|of course) )?"
_COPULA = r"(?:is|was|are|would be|seems|appears|looks|can be|could be|['’]s|ist|est|es|è)"
_NEGATED = (
    r"(?:cannot|(?:is|are|was|were|does|do|did|could|would|wo|ca)n['’]t"
    r"|(?:is|was|does|did|can|could|would|will) not|never)\b"
    r"(?! be (?:\w+ )?(?:excluded|ruled out|eliminated|dismissed|rejected))"
)
_WRONG = (
    r"(?:no longer|incorrect|wrong|false|unlikely|improbable|impossible|implausible|excluded"
    r"|ruled out|rejected|eliminated|a mistake|an error|mistaken|untrue|invalid|erroneous"
    r"|unsupported|(?:a|the) (?:distractor|trap|decoy)|inconsistent|doubtful"
    r"|questionable|out|less (?:likely|probable|plausible)|the (?:wrong|incorrect|exception))\b"
    r"(?!\s+(?:options?|answers?|choices?)\s{0,4}:)"
)
_BE_RIGHT = (
    r"(?:\w{1,12}ly |really |quite |so )?(?:be )?"
    r"(?:correct|right|true|it\b|the (?:answer|case|best|correct|right)|possible"
    r"|supported|consistent|likely|valid|plausible|accurate|convincing|compatible|enough|fit|match"
    r"|explain|work|make sense|hold|apply|account|add up|seem|look|belong|suit|agree|sit\b)"
)
"""What is denied of a choice, and not of something else ("this is not medical advice")."""
_NOT_RIGHT = rf"(?:not|never) {_BE_RIGHT}"
_FAILS = rf"(?:{_NEGATED} {_BE_RIGHT}|{_NEGATED}\s{{0,4}}(?:[.!,;)]|\Z))"
_LEAD_IN = r"(?:and |but |although |though |however,? )?"
_DENIED_AFTER = re.compile(
    r"[\"')\]]{0,2}\s{0,4}"
    rf"(?:{_COPULA}\s{{0,4}}{_ADVERB}(?!not{_OTHER_LETTER})"
    rf"(?:not\b(?! only| because)|n['’]t\b|{_WRONG})"
    rf"|{_NEGATED}(?!{_OTHER_LETTER})"
    rf"|[(–—:-]\s{{0,4}}(?:(?:this|that|it|which) is )?{_ADVERB}"
    rf"(?:not\b(?!{_OTHER_LETTER})|{_WRONG})"
    rf"|[,;]?\s?\(?{_LEAD_IN}{_PRONOUN}\s?"
    rf"(?:{_COPULA}\s{{0,4}}{_ADVERB}(?:{_NOT_RIGHT}|{_WRONG})|{_FAILS}))",
    _I,
)
_WRONG_NEXT = re.compile(
    r"[\"')\]]{0,2}\s{0,4}[.!;,–—-]{0,3}\s{0,4}"
    r"(?:(?:however|but|actually|no|hmm|yet|oh),?\s{0,4})?"
    rf"(?:{_PRONOUN}\s?(?:{_COPULA}\s{{0,4}}{_ADVERB}(?:{_NOT_RIGHT}|{_WRONG})|{_FAILS})"
    r"|\(?(?:incorrect|wrong|false"
    r"|not (?:correct|right|quite|really|so|yet|fast|so fast|at all|this)|nope|no|never(?: ?mind)?"
    r"|just kidding|joke|kidding|oops|(?:very |highly )?unlikely|(?:less|least) likely|impossible"
    r"|implausible|improbable|out|low|distractor"
    r"|(?:can be |is |was )?(?:excluded|ruled out|rejected|eliminated|dismissed|discarded|absent)"
    r"|not (?:seen|supported|present|likely|visible|found|indicated|possible|consistent|plausible"
    r"|compatible|applicable|valid|sure"
    r"|it)(?: here)?|maybe|perhaps|possibly|\?)\s{0,4}(?:[.!,;:)\n]|\Z)"
    r"|or (?:so it seems|so i thought|is it|not)\b"
    r"|(?:is (?:it|that|this)|right|really|(?:am i|are you) (?:sure|right|wrong))"
    r"\b[^.!?\n]{0,30}\?)",
    _I,
)
_BUT = re.compile(
    r"[^.!?\n]{0,80}?[,;–—-]?\s{0,4}\b(?:but|yet|although|though|however|aber|jedoch|mais"
    r"|cependant|pero|sin embargo|mas|però)\b([^.!?\n]{0,120})",
    _I,
)
_HOWEVER = re.compile(
    r"[\"')\]]{0,2} ?(?:です|だ)?\s{0,4}[.!;\n。]\s{0,4}(?:(?:the|this|an?|his|her) \w+, )?"
    r"(?:however|but|yet|still|that said|nevertheless|nonetheless|in fact|on the contrary"
    r"|although|though|aber|jedoch|mais|cependant|pero|sin embargo|mas|però"
    r"|(?:但是?|然而|しかし|하지만|그러나)[、,]? ?(?=\w))\b,?([^.!?\n]{0,150})",
    _I,
)
_SHOWS = re.compile(
    r"\b(?:normal|patent|negative|clear|unremarkable|intact|clean|missing|shows?|showed"
    r"|demonstrates?|reveals?|exclud\w+|refut\w+"
    r"|contradict\w*|disagree\w*|outdated|zeigt|montre|muestra|mostra)\b",
    _I,
)
"""How findings are told that speak against a choice when a "but" leads to them."""
_MILD = re.compile(
    r"\b(?:common\w*|rare\w*|less|more|may|might|can|could|should|would|also|other|additional"
    r"|need\w*|require\w*|clinical\w*|important"
    r"|recommend\w*|advis\w*|consider\w*|treat\w*|still|both|typical\w*|usually|often|mention\w*"
    r"|diagnos\w*|answer|option|limited|weak|small|uncertain\w*|imperfect|guess|note|indirect"
    r"|nötig|empfohlen)\b|建议|建議|需要|进一步|必要|医師",
    _I,
)
"""What a "but" may add without taking anything back: a caution is no objection ("However, clinical
correlation is advised.")."""
_WRONG_IN_SIGNS = re.compile(
    r"[\s\"')\]:,(。.、–—-]{0,5}(?:这|這|此|その|이)?(?:答案)?(?:是|は)?(?:错|錯|誤|틀"
    r"|[✗❌✘×](?![ \t]*[\"'(]*(?:option )?[A-Z](?!\w)))"
)
"""Called wrong by a sign, or in a language without spaces."""
_CAUTION = re.compile(
    r"\b(?:i|we|sure|certain|definitive|images?|confirm\w*|correlat\w*|further|consult|doctor"
    r"|professional|advice)\b|(?-i:(?<!\w)[A-Z](?!\w))",
    _I,
)


def denied_after(text: str, at: int) -> bool:
    """Whether a letter that ends at a place is denied there: "C is wrong", "C (incorrect)", "C,
    which does not fit"."""
    return bool(_DENIED_AFTER.match(text, at) or _WRONG_IN_SIGNS.match(text, at))


def undermined(text: str, at: int) -> bool:
    """Whether a "but" in the same sentence takes back what ends at a place: "C, but there is no
    filling defect"."""
    found = _BUT.match(text, at)
    return found is not None and _takes_back(found[1])


def denied_next(text: str, at: int) -> bool:
    """Whether the next sentence takes back what ends at a place: "C. That is wrong.", "C. However,
    there is no defect."."""
    found = _HOWEVER.match(text, at)
    return bool(_WRONG_NEXT.match(text, at)) or (found is not None and _objects(found[1]))


def _objects(clause: str) -> bool:
    """Whether a sentence that begins with a "but" is more than a caution, or a word on how rare
    something is."""
    # no list of objections is complete ("But the lungs are black."), so whatever is not known as
    # harmless objects
    return _takes_back(clause) or not (
        _CAUTION.search(clause) or _MILD.search(clause) or len(clause) < 3
    )


def _takes_back(clause: str) -> bool:
    """Whether what follows a "but" denies, and is no mere caution of the writer."""
    return (
        denies(clause) or lacks(clause) or _SHOWS.search(clause) is not None
    ) and not _CAUTION.search(clause)
