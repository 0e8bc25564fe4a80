"""The words by which an answer is chosen, denied, supposed or doubted, as regular expressions that ignore case.

What chooses is a short list on purpose: a qualifier or a noun that is not on it chooses nothing ("trap answer", "second choice").
What denies may be as long as one likes.
"""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split("|"))


def last_words(*alternatives: str) -> frozenset[str]:
    """The last word of each of several alternatives ("go with|select")."""
    return frozenset(phrase.split()[-1] for each in alternatives for phrase in each.split("|"))


# --- English ------------------------------------------------------------------------------------------------------------

NOUN = (
    r"(?:answer|ans|choice|option|selection|response|letter|prediction|pick|solution|verdict"
    r"|conclusion|diagnosis)"
    r"(?:[ _](?:choice|option|letter|key|idx|index))?"
)
SUPERLATIVE = (
    r"(?:best|correct|right|(?:next|single) best|preferred|recommended|likeliest|ideal|optimal"
    r"|most (?:likely|probable|appropriate|accurate|suitable|plausible|reasonable|consistent"
    r"|fitting|logical|compatible|suggestive))"
)
QUALIFIER = (
    rf"(?:{SUPERLATIVE}|final|likely|probable|proper|accurate|appropriate|suitable|chosen"
    rf"|selected|predicted|single|only|one|true|actual"
    r"|definitive|definite|ultimate|overall|multiple[- ]choice|letter|top|leading|working"
    r"|presumptive|unifying|radiologic(?:al)?|clinical)"
)
DETERMINER = r"(?:the|my|our|this|its)"
CONNECTIVES = _set(
    "so|therefore|thus|hence|and|but|that|then|is|as|because|since|okay|ok|sure|well|yes"
    "|certainly|now|finally|ultimately|overall|clearly|indeed|making|makes|also"
)
"""What may stand before a noun without a determiner ("so answer C")."""
LINK_ENDS = "is|was|be|would|should|must|remains|becomes"
LINK = (
    r"(?:(?:is|was|would be|should be|must be|will be|has to be|ought to be|would|should|must"
    r"|remains|becomes|seems to be|appears to be)"
    r"(?: (?:therefore|thus|then|hence) be)?)"
)
FILLERS = (
    r"most likely|most probably|likely|probably|presumably|clearly|definitely|therefore|thus"
    r"|still|indeed|then|simply|just|certainly"
    r"|almost certainly|undoubtedly|surely|obviously|evidently|hence|really|now|best|in fact"
    r"|in my opinion|the|one|with|that of"
    r"|be|number|der|die|das|il|le|la|el"
)
LETTER_NAMES = "option|choice|answer|letter|opción|opção|letra|alternativa|lettera|lettre|buchstabe"
"""What may stand between a link and the letter: "is option C"."""
CHOOSES = (
    r"choose|select|pick|answer|chose|selected|picked|opt for|opted for|go with|went with|go for"
    r"|settle on|vote for|settled on"
    r"|choosing|selecting|picking|going with|going for|answering|opting for|conclude|decide on"
)
THINKS = "think|believe|say|guess|suspect|feel"
SO = (
    "output|result|so|therefore|thus|hence|ergo|definitely|probably|certainly|clearly"
    "|most likely|likely|sure|yes|okay|ok|final|correct|right|best"
)
CORRECT = (
    rf"(?:correct|right|accurate|true|best supported|preferred|favou?red|(?:the|my|our"
    rf"|a) (?:{QUALIFIER} ){{0,3}}(?:{NOUN}|one|fit|explanation|cause|match|step|test"
    rf"|treatment|management|finding)|(?:the )?{SUPERLATIVE}(?: (?:{QUALIFIER} ){{0,2}}(?:{NOUN}"
    rf"|one|fit|explanation|cause|match|step|test|treatment|management)"
    r"| to be(?: the)? (?:correct|right|answer)|(?=\s*(?:[.!,;)\n]|$)|\s+(?:because|since|as"
    r"|given|based|here|in this)\b)))"
)
"""What is said of a letter that is chosen, after "is"."""
FITS = (
    r"(?:best (?:fits|matches|explains|describes|answers|represents|accounts for)|fits best"
    r"|matches best|makes the most sense)"
)
FUNCTION_WORDS = _set(
    "only|if|unless|provided|assuming|when|because|since|as|due|given|which|based|though|although|but|is|was|in|for|here|therefore"
    "|so|not|would|should|on|with|considering|per|rather|according|explanation|rationale"
    "|reason|reasoning|justification|confidence|and|que|porque|parce|car|weil|da|perché|denn"
    "|omdat|çünkü|wählen|nehmen|sagen|şıkkı|şıkkıdır|seçeneği|seçeneğidir"
)
"""What may follow a letter that is chosen, without a stop between."""
SENTENCE_STARTS = _set("The|This|These|There|It|In|Based|Because|Given|Since|On|Due")
"""The same of a new sentence whose full stop was left out."""
EPITHETS = (
    r"(?:coli|difficile|fumigatus|albicans|cereus|fragilis|burgdorferi|henselae|abortus|anthracis"
    r"|botulinum|perfringens|tetani"
    r"|diphtheriae|trachomatis|pneumoniae|jejuni|neoformans|immitis|histolytica|granulosus"
    r"|multilocularis|canis|lumbricoides)\b"
)
CLASSIFIERS = _set(
    "type|types|class|grade|stage|group|hepatitis|vitamin|influenza|kerley|weber|factor"
    "|protein|complement|stanford|pugh|image|images|figure|fig|panel|arrow|arrows|lead|zone"
    "|segment|category|score|level|levels|phase|lobe|plan|case|patient|patients|hemophilia"
    "|haemophilia|immunoglobulin|antigen|blood|strain|subtype|variant|form|part|step|table"
    "|appendix|criterion|pattern|loop|ring|region|point|area|labelled|labeled|marked|structure"
    "|view|series|slide|film|films|haemoglobin|hemoglobin|bosniak|borrmann|apolipoprotein"
    "|interleukin|cytochrome|section|column|row|gruppe|typ|klasse|grad|stadium|tipo|clase"
    "|grado|classe|груп|группа|тип|класс|стадия|степень|гепатит|витамин"
)
"""Words that a letter belongs to which is no option ("type B", "hepatitis C")."""

# --- denials ------------------------------------------------------------------------------------------------------------

DENIES = (
    r"\b(?:not|never|cannot|nor|neither|none|incorrect|wrong|false|untrue|invalid|unlikely"
    r"|improbable|implausible|impossible|least|worst"
    r"|weakest|exclud\w+|rul(?:e|es|ed|ing) out|eliminat\w+|reject\w*|discard\w*|dismiss\w*"
    r"|doubt\w*|except|avoid\w*|refut\w*|against"
    r"|rather than|instead of|other than|anything but|far from|opposed to|unlike|distractors?"
    r"|traps?|mistak\w+|misconception|misread\w*"
    r"|tempting|pitfall|fails?|failed|contraindicated|inappropriate|unsuitable|inconsistent"
    r"|incompatible|why|different|alternative"
    r"|considering|consider|second|worse|poor|erroneous|erroneously|error|no longer|nope"
    r"|unsupported|insufficient)\b|n't\b"
)
LACKS = r"\b(?:no(?= \w)|without|absent|absence|lack\w*|nothing|negative for|free of|devoid|less)\b"
"""What denies a finding, and so an option that is named with its letter, but not the phrase that chooses one."""
NO_ALONE = r"^\W*(?:no|ne|ei|nei|nej|nee)\b(?=\s\w)"
"""The one-word denial of several languages where it begins a clause; it denies there what is told in English by "not"."""
NO_DENIAL = (
    r"\b(?:no|without(?: a| any)?|beyond(?: a| any)?|little|not(?: a"
    r"| any)?) (?:reasonable )?doubt\b|\bundoubtedly\b|\bnot only\b|\bno question\b"
    r"|\bnot (?:entirely|completely|fully|100 ?%|absolutely|totally)? ?(?:sure|certain)\b"
    r"|\bwhy the answer\b|\bwhich is why\b|\bthat(?:['’]s| is) why\b"
)

# --- suppositions, reports, first impressions, corrections ------------------------------------------------------------------------

SUPPOSES = (
    r"\b(?:if|whether|unless|suppose|supposing|supposedly|assuming|assume|provided that|when"
    r"|whenever|in case|had there|were there|should there"
    r"|were it|wenn|falls|sofern|eğer|ise|если|якщо|nếu|jika|kalau|jeśli|jeżeli|pokud|dacă|إذا|لو"
    r"|अगर|यदि|যদি|אם|اگر)\b"
    r"|(?:^|[.,;:] ?)(?:si|se|om|als|hvis|jos|ha|cuando|quando|quand|lorsque|als) |如果|假如|若|倘|もし"
    r"|場合|であれば|만약|라면|이면"
    r"|^\s*(?:with|without)\b.*\bwould\b"
)
SUPPOSES_AFTER = (
    r"[,)\]\"']{0,3}\s*(?:only |but only )?(?:if|unless|provided|assuming|as long as|when|in case"
    r"|wenn|falls|sofern|si|se|если|nếu|jika|jeśli|إذا|अगर|यदि)\b"
    r"|[,)\]\"' ]{0,3}(?:如果|的话|場合|なら)"
)
OTHERS = (
    r"\b(?:students?|trainees?|residents?|candidates?|examinees?|colleagues?|classmates?|interns?"
    r"|novices?|others?|another|someone|somebody|anyone"
    r"|people|majority|crowd|sources?|authors?|textbooks?|chatgpt|user|some|many|they|he|she|few"
    r"|doctors?|clinicians?|radiologists?|attending"
    r"|expert|experts|professor|teacher|friend|model|ai)(?:['’]s?)?\b"
)
REPORTS = (
    r"\b(?:says?|said|claims?|claimed|argues?|argued|insists?|insisted|states?|stated|answers?"
    r"|answered|guess(?:es|ed)|wrote|writes|alleges?"
    r"|thinks?|thought|believes?|believed|suggests?|suggested|proposes?|proposed|reports?"
    r"|reported|chooses?|chose|picks?|picked|selects?|selected"
    r"|votes?|voted|assumes?|assumed|might|may|could|would|considers?|considered|recommends?"
    r"|recommended|prefers?|favou?rs?|marked|goes|went)\b"
)
THOUGHT_ONCE = (
    r"\b(?:thought|believed|assumed|guessed|figured|suspected|supposed|was (?:going|tempted"
    r"|inclined|about|leaning)|tempted|almost|nearly"
    r"|used to|could have|might have|would have|may have|one (?:might|may|could|would)"
    r"|you (?:might|may|could|would)|it (?:might|may|could) (?:be|seem|look|appear)"
    r"|according to (?:the |a |an |some |one |another )?(?:student|trainee|user|source|textbook"
    r"|author|report|rumou?r|other))\b"
)
AT_FIRST = (
    r"\b(?:at first|initially|originally|first (?:glance|sight|thought|impression|look|instinct)"
    r"|on first|previously|formerly|superficially"
    r"|before(?:hand)?|earlier|so far|for a moment|on the surface|seemingly|apparently)\b"
)
HESITATES = (
    r"(?:^|[.!?,;:(\n—-]\s*)(?:but |oh,? |hmm,? |no,? )?wait\b(?! (?:and|for|until|list|time))"
    r"|\b(?:hmm+|hm)\b|\bhold on\b|\bon (?:second|further|closer) (?:thoughts?|consideration"
    r"|reflection|inspection|look)\b"
    r"|\bon reflection\b|\b(?:scratch|strike) (?:that|this|it)\b|\bnever ?mind\b|(?:^"
    r"|[.!?;\n(]\s*)correction\b|\boops\b|\bsorry, (?:no|it['’]?s|i mean|that['’]?s|the answer"
    r"|wrong|[A-Z]\b)"
    r"|\blet me (?:re-?\w+|check|double|think|verify|correct)\b|\b(?:i )?take (?:that|it"
    r"|this) back\b|\bmy (?:mistake|bad)\b|\bi mis\w+|\bi was wrong\b|\bi made an? (?:error"
    r"|mistake)\b"
    r"|\bi (?:change|revise|withdraw) my\b|\bmake that\b|\bi (?:mean|meant)\b|(?:^"
    r"|(?-i:(?<![A-Z]))[.!?]\s+|[,;(\n]\s*)(?:no|nope|nein|non|actually)[,.!:]"
)
"""What a writer says who corrects himself."""
FAVOURS = (
    r"\b(?:better|best|correct|right|fits?|fitting|match(?:es)?|more (?:likely|plausible"
    r"|appropriate|accurate|consistent|probable|compatible|suitable)"
    r"|most|likelier|prefer\w*|favou?r\w*|instead|actually|stronger|superior|suits?|wins|closer"
    r"|should|must|has to|answer|choos\w+|chang\w+"
    r"|switch\w*|revis\w+|select\w*|pick\w*|mean|meant|go(?:ing)? with|explains?|accounts?"
    r"|supports?|points?|agrees?|plausible|possible|likely"
    r"|considered|equally|too|as well|either|also)\b"
)
TURNS = (
    r"\b(?:however|but|yet|although|though|actually|rather|instead|or|no|nope|wait|hmm+|still"
    r"|maybe|perhaps|possibly|alternatively)\b"
)
COMPARES = (
    r"\b(?:than|unlike|versus|vs|over|instead of|rather than|opposed to|compared (?:to|with)"
    r"|contrast(?: to| with)?|nor|not|differ\w*|between|from|except)\b"
)
NO_NOUN_PHRASE = (
    "is|are|was|were|be|been|would|will|could|may|might|can|should|shall|must|shows?|showed|has"
    "|have|had|does|do|did|seems?|appears?|suggests?|indicates?"
    "|presents?|represents?|causes?|includes?|requires?|occurs?|means?|refers?|describes?"
    "|involves?|leads?|needs?|typical(?:ly)?|usually|often|commonly|rarely"
    "|yes|no|this|that|these|those|it|its|there|they|here|if|when|while|although|though|but"
    "|however|because|since|not|never|none|n/a|see|look|check"
    "|the (?:answer|option|correct|best|patient)|i|we|you|let|wait|next|then|also|partly"
    "|partially|fits?|matches|explains?|ruled|against|supports?|ok|okay|hm+"
    "|which|what|who|where|maybe|perhaps|only|most|least|less|more"
)
"""What does not stand in a bare noun phrase."""
NO_HEAD = (
    r"(?<!\w)(?:true|false|correct|incorrect|right|wrong|absent|present|normal|abnormal|negative"
    r"|positive|possible|impossible|plausible|implausible|likely|unlikely"
    r"|probable|improbable|unclear|unknown|uncertain|visible|seen|intact|clear|nil|unremarkable"
    r"|excluded|considered|consistent|inconsistent|compatible|irrelevant"
    r"|relevant|atypical|common|uncommon|good|bad|weak|strong|poor|increased|decreased|reduced"
    r"|elevated|low|high|mild|severe|noted|found|detected|out|indicated"
    r"|needed|required|done|selected|rejected|eliminated|supported|rare|typical|unchanged"
    r"|preserved|sharp|blunted)"
)
"""What ends a remark and no noun phrase."""
ENUMERATES = (
    r"\b(?:options|choices|each|every|consider|analy[sz]e|evaluate|examine|review|go through"
    r"|look at|one by one|wrong|incorrect|others|rule|eliminate|exclude"
    r"|unlikely|not|differential|include|includes|possible|possibilities|candidates|distractors?"
    r"|instead)\b"
)
"""What announces that options are gone through."""
