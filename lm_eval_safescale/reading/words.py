"""The English words by which an answer is chosen, as regular expressions that ignore case.

They are short lists on purpose: a noun or a qualifier that is not here chooses nothing ("trap
answer", "second choice").
"""

from __future__ import annotations


def set_of(words: str) -> frozenset[str]:
    """Words with `|` between them, as a set."""
    return frozenset(words.split("|"))


def last_words(*alternatives: str) -> frozenset[str]:
    """The last word of each of several alternatives ("go with|select")."""
    return frozenset(phrase.split()[-1] for each in alternatives for phrase in each.split("|"))


# --- what names an answer -------------------------------------------------------------------------

NOUN = (
    r"(?:answer|ans|choice|option|selection|response|letter|prediction|pick|vote|guess|decision"
    r"|solution|verdict|conclusion|diagnosis)(?:[ _](?:choice|option|letter|key|idx|index))?"
)
SUPERLATIVE = (
    r"(?:best|correct|right|single best|preferred|recommended|likeliest|ideal|optimal"
    r"|most (?:correct|likely|probable|appropriate|accurate|suitable|plausible|reasonable"
    r"|consistent|fitting|logical|compatible|suggestive))"
)
QUALIFIER = (
    rf"(?:{SUPERLATIVE}|final|likely|probable|proper|accurate|appropriate|suitable|chosen|selected"
    r"|predicted|single|only|true|actual|definitive|definite|ultimate|overall|multiple[- ]choice"
    r"|letter|top|leading|working|presumptive|unifying"
    r"|radiologic(?:al)?|clinical)"
)
STEP = r"(?:step|test|investigation|action|examination|study|exam)"
"""What is asked for by "the next ..."."""
DETERMINER = r"(?:the|my|our|this|its)"
CONNECTIVES = set_of(
    "so|therefore|thus|hence|and|but|that|then|is|as|because|since|okay|ok|sure|well|yes|certainly"
    "|now|finally|ultimately|overall|clearly|indeed|making|makes|also"
)
"""What may stand before a noun without a determiner ("so answer C")."""
LETTER_NAMES = "option|choice|answer|letter|letra|lettera|lettre|buchstabe"
"""What may stand between a link and the letter: "is option C"."""

# --- what leads to a letter -----------------------------------------------------------------------

LINK_ENDS = "is|was|be|would|should|must|remains|becomes"
LINK = (
    r"(?:(?:is|was|would be|should be|must be|will be|has to be|ought to be|would|should|must"
    r"|remains|becomes|seems to be|appears to be)(?: (?:therefore|thus|then|hence) be)?)"
)
FILLERS = (
    "most likely|most probably|likely|probably|presumably|clearly|definitely|therefore|thus|still"
    "|indeed|then|simply|just|certainly|almost "
    "certainly|undoubtedly|surely|obviously|evidently|hence|really|now|best|in fact|in my "
    "opinion|the|one|with|that of|be|number|der|die|das|il|le|la|el|l"
)
CHOOSES = (
    "choose|chosen|chose|choosing|select|selected|selecting|pick|picked|picking|answer|answering"
    "|recommend|advise|vote|vote for|opt for|opted for|opting for|go with|went with|going with|go "
    "for|going for|settle on|settled on|decide on|decided on|conclude"
)
THINKS = "think|believe|say|guess|suspect|feel"
"""Verbs that choose a letter alone, and not what goes on behind it."""
SURELY = (
    r"(?:clearly|definitely|certainly|almost certainly|probably|most probably|likely|most likely"
    r"|undoubtedly|unquestionably|obviously|indeed|therefore|thus|hence|then|really|absolutely"
    r"|surely|evidently|simply|still|now|also|just)"
)
"""Adverbs that leave a choice a choice."""
CONCLUDES = (
    "so|therefore|thus|hence|ergo|to conclude|in conclusion|in summary|overall|by elimination|by "
    "exclusion"
)
SO = (
    f"{CONCLUDES}|definitely|probably"
    "|certainly|clearly|surely|obviously|most "
    "likely|likely|sure|yes|okay|ok|well|alright|final|correct|right|best|chosen|selected|output"
    "|result"
)

# --- what is said of a letter ---------------------------------------------------------------------

_CHOSEN = rf"(?:{NOUN}|one|fit|explanation|cause|match|step|test|treatment|management|finding)"
CORRECT = (
    r"(?:correct|right|accurate|true|best supported|preferred|favou?red"
    rf"|(?:the|my|our|a) (?:{QUALIFIER} ){{0,3}}{_CHOSEN}"
    rf"|(?:the )?next (?:best )?{STEP}"
    rf"|(?:the )?{SUPERLATIVE}(?: (?:{QUALIFIER} ){{0,2}}{_CHOSEN}"
    r"| to be(?: the)? (?:correct|right|answer))?)"
    r"(?=\W*(?:[.!,;:)\n]|$)"
    r"|\s+(?:because|since|as|given|based|due|here|therefore|for (?:the|this|these|that)"
    r"|in (?:this|the)"
    r"|to (?:the|this)|among|of (?:the|these|those|all)|and|but|while|whereas|not|with)\b)"
)
"""What is said of a letter that is chosen, after "is", and what may follow that."""
FITS = (
    r"(?:best (?:fits|matches|explains|describes|answers|represents|accounts for)|fits best"
    r"|matches best|makes the most sense|(?:is it|it is)(?=\W*(?:\Z|\n))"
    r"|(?:fits|matches|explains) (?:the |all |these )?\w+(?: \w+)? best)"
)

# --- what follows a letter ------------------------------------------------------------------------

REASON_WORDS = set_of(
    "because|since|as|due|given|based|for|here|in|with|considering|per|according|explanation"
    "|rationale|reason|reasoning|justification|confidence|therefore|so|weil|da|denn|car|porque"
    "|parce|perché|omdat|çünkü|que"
)
"""What may follow a letter that is chosen, without a stop between, and says why or where."""
FUNCTION_WORDS = REASON_WORDS | set_of(
    "only|if|unless|provided|assuming|when|which|though|although|but|is|was|not|would|should|on"
    "|rather|and|over|wählen|nehmen|sagen|şıkkı|şıkkıdır|seçeneği|seçeneğidir"
)
"""Whatever may follow it so."""
SENTENCE_STARTS = set_of("The|This|These|There|It|In|Based|Because|Given|Since|On|Due")
"""The same of a new sentence whose full stop was left out."""

# --- letters that are no options ------------------------------------------------------------------

EPITHETS = (
    r"(?:coli|difficile|diff|fumigatus|albicans|cereus|fragilis|burgdorferi|henselae|abortus"
    r"|anthracis|botulinum|perfringens|tetani|diphtheriae|trachomatis|pneumoniae|jejuni|neoformans"
    r"|immitis|histolytica|granulosus|multilocularis|canis"
    r"|lumbricoides)\b"
)
"""What a letter with a full stop abbreviates the genus of."""
CLASSIFIERS = set_of(
    "type|types|class|grade|stage|group|hepatitis|vitamin|influenza|kerley|weber|factor|protein"
    "|complement|stanford|pugh|image|images|figure|fig|panel|arrow|arrows|lead|zone|segment"
    "|category|score|level|levels|phase|lobe|plan|case|patient|patients|hemophilia|haemophilia"
    "|immunoglobulin|antigen|blood|strain|subtype|variant|form|part|step|table|appendix|criterion"
    "|pattern|loop|ring|region|point|area|labelled|labeled|marked|structure|view|series|slide|film"
    "|films|haemoglobin|hemoglobin|bosniak|borrmann|apolipoprotein|interleukin|cytochrome|section"
    "|column|row|gruppe|typ|klasse|grad|stadium|tipo|clase|grado|classe|груп|группа|тип|класс"
    "|стадия|степень|гепатит|витамин"
)
"""Words that a letter belongs to which is no option ("type B", "hepatitis C")."""

# --- labels ---------------------------------------------------------------------------------------

NO_NOUN_PHRASE = (
    r"\w+ed (?:by|with|to|from|in)|patients|expect|think|remember|recall|note|add|give|start|order"
    r"|treat|do|use|consider|is|are|was|were|be|been|would|will|could|may|might|can|should|shall"
    r"|must|shows?|showed|has|have|had|does|did|seems?"
    r"|appears?|suggests?|indicates?|presents?|represents?|causes?|includes?|requires?|occurs?"
    r"|means?|refers?|describes?|involves?|leads?|needs?|typical(?:ly)?|usually|often|commonly"
    r"|rarely|yes|no|this|that|these|those|it|its|there|they|here"
    r"|if|when|while|although|though|but|however|because|since|not|never|none|n/a|see|look|check"
    r"|the (?:answer|option|correct|best|patient)|i|we|you|let|wait|next|then|also|partly|partially"
    r"|fits?|matches|explains?|ruled|against|supports?|ok|okay|hm+|which|what|who|where|maybe"
    r"|perhaps|only|most|least|less|more"
)
"""What does not stand in a bare noun phrase."""
REMARKS = (
    r"(?:true|false|correct|incorrect|right|wrong|absent|present|normal|abnormal|negative|positive"
    r"|possible|impossible|plausible|implausible|unclear|unknown|uncertain|visible|seen|intact"
    r"|clear|excluded|considered|compatible|irrelevant|relevant|common"
    r"|rare|typical|noted|found|detected|indicated|needed|required)"
)
"""What ends a remark and no noun phrase."""
NOUN_ENDINGS = (
    r"(?:ions?|isms?|omas?|osis|oses|asis|itis|i[ae]|ax|esse?s?|ures?|us|celes?|liths?|grams?"
    r"|graphy|scopy|tomy|plasty|[ie]ma|emia|uria"
    r"|pathy|trophy|plasia|lysis|therapy|scans?|rays?|tumou?rs?|cysts?|mass(?:es)?|sis|clots?"
    r"|bleed(?:ing)?|disease|disorder|syndrome|failure|h[ae]+morrhage|abscess|stones?|embolus"
    r"|infarct|polyps?|nodules?|lesions?|cancer|carcinoma|valve|artery"
    r"|vein|lobe|lung|heart|bone|defect)"
)
"""How the last word of a noun phrase in medicine ends, where no word of an option stands in it."""
ENUMERATES = (
    r"\b(?:options|choices|each|every|consider|analy[sz]e|evaluate|examine|review|go through"
    r"|look at|one by one|wrong|incorrect|others|rule|eliminate|exclude|unlikely|not|differential"
    r"|include|includes|possible|possibilities|candidates|distractors?"
    r"|instead)\b"
)
"""What announces that options are gone through."""
