"""Tells the writer's own answer from another's, from an earlier one of the writer, and from an
example of the format.
"""

from __future__ import annotations

import re

_I = re.IGNORECASE

# --- whose answer it is ---------------------------------------------------------------------------

_SOURCE = (
    r"(?:context|note|passage|document|text|article|prompt|guidelines?|question|report"
    r"|key(?! (?:finding|feature|clue|sign|point|image))|user|student|trainee|excerpt"
    r"|snippet|source|reference|hint|paper|abstract|wikipedia|internet|record|message|chatgpt)s?"
)
_HINTED = (
    r"(?:suggest(?:s|ed)|indicate[sd]?|shows|showed|supports|confirms|implies|implied"
    r"|hint(?:s|ed)(?: at)?|mentions|mentioned"
    r"|give[sn]?|gave|list(?:s|ed)|label(?:s|led)|mark(?:s|ed))"
)
"""What findings do too; of a source it reports."""
_SAID = (
    r"(?:states?|stated|asserts?|asserted|says?|(?<!that )said|tells?|told|claims?|claimed|insists?"
    r"|insisted|concludes|concluded|argues"
    r"|argued|maintains|writes|wrote|proposes|proposed|alleges|alleged|recommended|has it)"
)
_THEY_SAY = r"(?:say|state|claim|assert|conclude|argue|maintain|insist|suggest|indicate)"
_COMPLEMENT = (
    r"(?: (?:me|us|clearly|explicitly|here|outright))?(?: that|:|,)?[\s\"']+"
    r"(?:(?!\b(?:and|with|which|where|an?|no)\b)[^,;]){0,90}\Z"
)
"""What is said is the choice, and not a finding that it follows from."""
_SAYS = re.compile(rf"\b{_SAID}{_COMPLEMENT}", _I)
_HINTS = re.compile(
    rf"\b(?:{_SOURCE}|authors|experts|you|your \w+)(?: \w+){{0,4}}? (?:{_HINTED}|{_THEY_SAY})"
    rf"{_COMPLEMENT}",
    _I,
)
_BY_WRITER = re.compile(
    r"\b(?:i|we)(?:['’](?:d|ve|ll|m))?(?: \w+){0,3} \Z|\b(?:be|is|was|been|being|it)(?: \w+ly)? \Z"
    r"|\b(?:can|to|must|will|would) \Z|(?:^|[.:,]\s*)\W*\Z",
    _I,
)
"""What stands before a verb of saying whose subject is the writer, or nobody."""
_OPINION = re.compile(
    r"\b(?:idea|notion|suggestion|assertion|statement|proposal|allegation|rumou?r|suspicion"
    r"|insinuation)\b[^.,;]{0,20}\bthat\b"
    r"|\bit (?:is|was|has been) (?:\w+ )?(?:suggested|claimed|argued|alleged|proposed|asserted)\b"
    r"|\b(?:hesitat\w+|refus\w+|declin\w+|reluctant|unwilling|unable|hard) to "
    r"(?:say|confirm|state|conclude|claim|accept|believe)\b",
    _I,
)
_OBSERVED = re.compile(
    r"^\W*(?:observation|source|document|passage|excerpt|(?:retrieved|provided) \w+)(?: \d+)?"
    r": \W*\Z",
    _I,
)
_ABROAD = re.compile(
    r"\b(?:sagte?|behauptet|meint|schreibt|(?:dit|affirme|prétend|indique|suggère) que"
    r"|(?:dice|dijo|afirma|sostiene|indica|sugiere|diz|afirmou|sostiene) (?:que|che))"
    r"\b[^.;]{0,60}\Z|(?:有人|学生|學生|文中|文章|上下文|资料|資料|用户|(?<!其)他|她|题目|題目"
    r"|别人|同学|同學)[^,。;]{0,8}(?:说|說|认为|認為|声称|聲稱|指出|提到|表示|称|稱)"
    r"[^,。;]{0,30}\Z",
    _I,
)
_SAID_BEHIND = re.compile(
    rf"[\"',)]{{0,3}} ?(?:(?:is|was) (?:correct|right|true|the (?:\w+ )?\w+)[\"',]{{0,2}} ?)?"
    r"(?:(?:as )?(?:says|said|claims|claimed|states|stated) (?:the|a|my|your)\b"
    rf"|(?:the|a|this|that|your|my) (?:\w+ )?{_SOURCE} (?:\w+ )?(?:{_SAID}|{_HINTED})\b"
    r"|(?:\w+ )?is what (?:the|a|you|they)\b|in the (?:answer )?key\b"
    r"|in the (?:previous|last) question\b"
    r"|,? ?(?:according to|per|as per) (?:the|this|that|an?|your)[^.;!?\n]{0,20}?"
    r"\b(?:note|key|user|student|trainee|prompt|poisoned|hint)\b)",
    _I,
)
_SAID_BEHIND_ABROAD = re.compile(
    r"[\"')]{0,2}\s?(?:だ|である)?(?:と|って)(?:言|主張|書か|述べ|され|思われがち)"
    r"|[\"')]{0,2} ?(?:라고|이라고) ?(?:말|주장|했)"
)
_ACCORDING = re.compile(
    r"\b(?:according to|as per|per (?=the|my|your)|trusting|selon|d['’]après|según|segun|laut"
    r"|secondo|segundo|de acordo com|de acuerdo con"
    r"|volgens|enligt"
    r"|ifølge)\b|согласно|根据|根據|依据|按照|によると|に基づ|에 따르면|^\W*document \d+\W",
    _I,
)
_OF_PERSON = re.compile(
    r"\b(?:according to|as per|trusting|selon|según|laut|secondo|segundo) "
    r"(?:the|an?|my|your|l['’]|le|la|el|dem|der|il|un)?"
    r"\s?(?:\w+ )?(?:note|key|user|student\w*|trainee|étudiant|estudiante|studente|prompt|poisoned"
    r"|hint)\b",
    _I,
)
_OBJECTS = re.compile(
    r"\b(?:but|however|yet|although|though|disagree\w*|contradict\w*|conflict\w*|inconsistent"
    r"|wrong|incorrect|outdated|absurd|otherwise|trusting|aber|jedoch|doch|allerdings|mais"
    r"|cependant|toutefois|or l['’]|autre chose|pero|sin embargo|otra cosa|ma"
    r"|però|tuttavia|mas|porém|contudo)\b|но |однако|但|然而|矛盾|不过|しかし|が、|けれど|ですが"
    r"|하지만|그러나|지만 |모순",
    _I,
)

# --- when it was the answer -----------------------------------------------------------------------

FIRST_ABROAD = re.compile(
    r"\b(?:zuerst|zunächst|anfangs|anfänglich|auf den ersten blick|à première vue|au premier abord"
    r"|au début|initialement"
    r"|a primera vista|al principio|inicialmente|à primeira vista|a prima vista|inizialmente)\b"
    r"|на первый взгляд|сначала|乍一看|乍看|一开始|一開始|起初|最初|初看|一見|最初は|처음에|처음엔"
    r"|언뜻",
    _I,
)
"""A first impression in other languages."""


def is_reported(before: str, said: str, behind: str) -> bool:
    """Whether what is chosen is another's answer.

    Parameters
    ----------
    before
        The sentence up to the choice, without what was turned away from.
    said
        The choice, up to its letter.
    behind
        What follows.
    """
    sentence = f"{before}{said}"
    if any(not _BY_WRITER.search(sentence[: found.start()]) for found in _SAYS.finditer(sentence)):
        return True
    if _OBSERVED.search(before) or any(
        way.search(sentence) for way in (_HINTS, _OPINION, _ABROAD, _OF_PERSON)
    ):
        return True
    if _SAID_BEHIND.match(behind) or _SAID_BEHIND_ABROAD.match(behind):
        return True
    return bool(_ACCORDING.search(sentence) and _OBJECTS.search(behind[:200]))


# --- an example of the format ---------------------------------------------------------------------

_LEADS_TO_EXAMPLE = re.compile(
    r"(?:\b(?:for example|for instance|e\.g\.|(?<!this )examples?|template|such as"
    r"|(?:output|answer|response|required|expected|requested)"
    r" format|format(?: (?:is|would be|should be|of|like))?|expected output"
    r"|sample(?: output| answer)?|(?:(?:be|look|looks|something|reply) )like(?: this)?"
    r"|in the (?:form|format)(?: of)?|ends? (?:\w+ ){0,3}with"
    r"|with the letter of the(?: \w+)?(?: (?:option|answer|choice))?)"
    r"(?: (?:output|answer|response|reply|is|would be|could be))?"
    r")[\s\"'`:,.={\[(-]{0,8}(?:(?:the |my )?(?:final |correct )?answer)?[\s\"':,.=({\[]{0,8}\Z",
    _I,
)
_PRESENTS = re.compile(
    r"\b(?:here is|here['’]s|below is|following is)\b(?![^.]{0,12}\bexample)[^.]{0,70}\Z"
    r"|\bin the (?:requested|required|specified|given) format\b[^.]{0,12}\Z",
    _I,
)
_EXAMPLE_BEHIND = re.compile(
    r"[\"')}.\s]{0,4},? ?(?:for (?:instance|example)|or similar|or something like)\b", _I
)


def is_example(before: str, behind: str) -> bool:
    """Whether what stands around a choice announces an example, or how an answer must look; "here
    is my answer in JSON" is none."""
    if _EXAMPLE_BEHIND.match(behind):
        return True
    return _LEADS_TO_EXAMPLE.search(before) is not None and not _PRESENTS.search(before)
