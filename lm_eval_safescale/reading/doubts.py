"""The English words by which a choice is denied, supposed, reported or corrected; of some, those of
other languages too.

They may be as long as one likes: a word too many costs an answer, one too few makes a false letter.
"""

from __future__ import annotations

# --- denials --------------------------------------------------------------------------------------

DENIES = (
    "not|*n't|never|cannot|disagree|nor|neither|none|incorrect|wrong|false|untrue|invalid|unlikely"
    "|improbable|implausible|impossible|least|worst|weakest|exclud*|rule out|rules out|ruled "
    "out|ruling out|eliminat*|reject*|discard*|dismiss*|doubt*|except|avoid*|refut*|against|rather "
    "than|instead of|other than|anything but|far from|opposed "
    "to|unlike|distractor|distractors|trap|traps|mistak*|misconception|misread*|tempting|pitfall"
    "|fail|fails|failed|contraindicated|inappropriate|unsuitable|inconsistent|incompatible|why"
    "|different|alternative|considering|consider|second|worse|poor|erroneous*|error|no "
    "longer|nope|unsupported|insufficient|hardly|rarely|seldom"
)
"""What denies wherever it stands in the clause; a `*` stands for any beginning or ending."""
NO_ALONE = r"^\W*(?:no|ne|ei|nei|nej|nee)\b(?=\s\w)"
"""The one-word denial of several languages where it begins a clause; it denies there what is told
in English by "not"."""
LACKS = "without|absent|absence|lack*|nothing|negative for|free of|devoid|less"
"""What denies a finding, and so an option that is named with its letter, but not the phrase that
chooses one."""
NO_DENIAL = (
    r"\b(?:by|of) (?:elimination|exclusion)\b"
    r"|\b(?:cannot|can['’]t|could not|couldn['’]t|not) be (?:\w+ )?"
    r"(?:excluded|ruled out|eliminated|dismissed|rejected|discarded)\b"
    r"|\b(?:no|without(?: a| any)?|beyond(?: a| any)?|little|not(?: a| any)?) (?:reasonable )?"
    r"doubt\b|\bundoubtedly\b|\bnot only\b"
    r"|\bno question\b|\bwhy the answer\b|\bwhich is why\b|\bthat(?:['’]s| is) why\b"
)
"""What looks like a denial and is none; "D cannot be excluded" even speaks for D, and "by
elimination, C" for C."""

# --- suppositions ---------------------------------------------------------------------------------

# not "if I had to choose, B" or "if forced": that chooses
SUPPOSES = (
    r"\b(?:if(?! (?:(?:i|we) (?:had|have|must|were|am|are) |forced|pressed|i['’]m ))"
    r"|whether|unless|suppose|supposing|supposedly|assuming|assume|provided that|when|whenever"
    r"|in case|had there|were there|should there|were it|wenn|falls|sofern|eğer|ise|если|якщо|nếu"
    r"|jika|kalau|jeśli|jeżeli|pokud|dacă|إذا|لو|अगर"
    r"|यदि|যদি|אם|اگر)\b"
    r"|\bs['’]il\b|(?:^|[.,;:] ?)(?:si|se|om|als|hvis|jos|ha|cuando|quando|quand|lorsque|als) "
    r"|如果|假如|假设|假設|要是|设若|若|倘|もし|場合|であれば|만약|라면|이면"
    r"|^\s*(?:with|without)\b.*\bwould\b"
)
SUPPOSES_AFTER = (
    r"[,)\]\"']{0,3}\s*(?:only |but only )?"
    r"(?:if|unless|provided|assuming|as long as|when|in case|wenn|falls|sofern|si|se|если"
    r"|nếu|jika|jeśli|إذا|अगर|यदि)\b|[,)\]\"' ]{0,3}(?:如果|的话|場合|なら)"
)
"""Right behind a letter."""

# --- somebody else's answer, or an earlier one ----------------------------------------------------

OTHERS = (
    r"\b(?:students?|trainees?|residents?|candidates?|examinees?|colleagues?|classmates?|interns?"
    r"|novices?|others?|another|someone|somebody|anyone|people|majority|crowd|sources?|authors?"
    r"|textbooks?|chatgpt|user|some|many|they|he|she|few"
    r"|doctors?|clinicians?|radiologists?|attending|experts?|professor|teacher|friend|model|ai)"
    r"(?:['’]s?)?\b"
)
REPORTS = (
    r"\b(?:says?|said|claims?|claimed|argues?|argued|insists?|insisted|states?|stated|answers?"
    r"|answered|guess(?:es|ed)|wrote|writes|alleges?|thinks?|thought|believes?|believed|suggests?"
    r"|suggested|proposes?|proposed|reports?|reported|chooses?"
    r"|chose|picks?|picked|selects?|selected|votes?|voted|assumes?|assumed|might|may|could|would"
    r"|considers?|considered|recommends?|recommended|prefers?|favou?rs?|marked|goes|went)\b"
)
THOUGHT_ONCE = (
    r"\b(?:hope[sd]?|fear(?:ed)?|wish(?:ed)?|wonder(?:ed)?|pretend|imagine|myth|belief|claim|notion"
    r"|hypothesis|possibility"
    r"|chance|risk|impression|unsure|thought|believed|assumed|guessed|figured|suspected|supposed"
    r"|was (?:going|tempted|inclined|about|leaning)|tempted|almost|nearly|used to|could have"
    r"|might have|would have|may have|one (?:might|may|could|would)|you (?:might|may|could|would)"
    r"|it (?:might|may|could) (?:be|seem|look|appear)"
    r"|according to (?:the |a |an |some |one |another )?"
    r"(?:student|trainee|user|source|textbook|author|report|rumou?r|other))\b"
)
"""What was thought, hoped or reported, and is not said."""
SAYS = (
    r"\b(?!i\b|we\b)\w+(?: \w+)? (?:says?|said|claims|claimed|answered|writes|wrote|replies|replied"
    r"|thinks|thought|argues|argued|states|stated|asks|asked)\s*:\s*[\"'(]?\Z"
    r"|(?:^|\n)\W*(?:student|trainee|resident|candidate|patient|colleague|intern|attending)"
    r"(?: \w+)?\s*:\s*[\"'(]?\Z"
)
"""What announces somebody else's words."""
AT_FIRST = (
    r"\b(?:at first|initially|originally|first (?:glance|sight|thought|impression|look|instinct)"
    r"|on first|previously|formerly|superficially|before(?:hand)?|earlier|so far|for a moment"
    r"|on the surface|seemingly|apparently|last time|once)\b"
)

# --- corrections ----------------------------------------------------------------------------------

HESITATES = (
    r"(?:^|[.!?,;:(\n—-]\s{0,4})(?:but |oh,? |hmm,? |no,? )?wait\b(?! (?:and|for|until|list|time))"
    r"|\b(?:hmm+|hm|hold on|oops|on reflection|never ?mind|make that)\b"
    r"|\bon (?:second|further|closer) (?:thoughts?|consideration|reflection|inspection|look)\b"
    r"|\b(?:scratch|strike) (?:that|this|it)\b|(?:^|[.!?;\n(]\s{0,4})correction\b"
    r"|\bsorry, (?:no|it['’]?s|i mean|that['’]?s|the answer|wrong|[A-Z]\b)"
    r"|\blet me (?:re-?\w+|check|double|think|verify|correct)\b"
    r"|\b(?:i )?take (?:that|it|this) back\b"
    r"|\bmy (?:mistake|bad)\b|\bi mis\w+|\bi was wrong\b|\bi made an? (?:error|mistake)\b"
    r"|\bi (?:change|revise|withdraw) my\b|\bi (?:mean|meant)\b"
    r"|(?:^|(?-i:(?<![A-Z]))[.!?]\s{1,4}|[,;(\n]\s{0,4})(?:no|nope|nein|non|actually)[,.!:]"
    r"|[.!?]\s{1,4}actually,"
    r"|\blooking (?:again|closer|back|more closely)\b|\bon (?:re-?reading|(?:a )?review)\b"
    r"|\bthen i (?:noticed|saw|reali[sz]ed)\b"
    r"|(?:[.!?]\s{1,4}|\n)unfortunately,? (?:that|this|it)\b"
    r"|\bi apologi[sz]e for the (?:error|mistake)\b"
    r"|\b(?:please|now|you (?:should|can|may)|[.!?]) (?:disregard|ignore|forget)\b"
    r"|\b(?:disregard|ignore|forget) (?:that|this) answer\b"
    r"|(?:[.!?]\s{1,4})(?:disregard|ignore|forget) (?:that|this|it|the above|my answer)\b"
    r"|\bi (?:\w+ )?(?:retract|withdraw|no longer)\b|\bmy revised answer\b|\bor rather\b"
    r"|\bi (?:\w+ )?disagree\s*(?:[.!]|$)|\bi(?: am|['’]m) (?:changing|revising|withdrawing) my\b"
    r"|\b(?:that|this|it) (?:cannot|can['’]t) be(?: (?:it|right|so))?\W*(?:$|[.!])"
    r"|\b(?:refutes?|contradicts?|disproves?|excludes?) "
    r"(?:this|that|it|the (?:answer|choice|diagnosis))\b(?! \w)"
    r"|, which (?:contradicts|conflicts with"
    r"|(?:the|this|a|an|his|her) [^.,;\n]{1,40}?(?:excludes?|refutes?|contradicts?|rules? out))\b"
    r"|\b(?:this|that|it)(?: answer| choice| diagnosis)? (?:is|was|has been) (?:\w+ly )?"
    r"(?:refuted|contradicted|excluded|ruled out|retracted)\b"
    r"|\b(?:this|that|it) contradicts\b|\bthe (?:answer )?key is (?:incorrect|wrong|outdated)\b"
    r"|\bthis answer is (?:wrong|incorrect|false)\b"
)
"""What a writer says who corrects himself."""
CALLS_WRONG = (
    r"(?:[.!?。\n]\s{1,4}|\A)(?:no,? )?(?:this|that|it)(?: answer| choice)?(?:['’]s| is| was) "
    r"(?:\w{1,12}ly )?(?:wrong|incorrect|false|not (?:correct|right|true))\b"
    r"|\((?:\w{1,12}ly )?(?:wrong|incorrect|false|not (?:correct|right))\)"
)
"""What takes back a choice further up."""

# --- what is said of the other options ------------------------------------------------------------

FAVOURS = (
    r"\b(?:better|best|correct|right|fits?|fitting|match(?:es)?"
    r"|more (?:likely|plausible|appropriate|accurate|consistent|probable|compatible|suitable)|most"
    r"|likelier|prefer\w*|favou?r\w*|instead|actually|stronger|superior|suits?|wins|closer|should"
    r"|must|has to|answer|choos\w+|chang\w+|switch\w*|revis\w+"
    r"|select\w*|pick\w*|mean|meant|go(?:ing)? with|explains?|accounts?|supports?|points?|agrees?"
    r"|plausible|possible|likely|equally|too|as well|either|also)\b"
)
DISMISSES = (
    r"\b(?:considered|thought (?:of|about)|hesitated|torn|tempt\w+|distractors?|traps?|looked at"
    r"|went through|you (?:chose|picked|selected|answered|said))\b"
)
TURNS = (
    r"\b(?:however|but|yet|although|though|actually|rather|instead|or|no|nope|wait|hmm+|still|maybe"
    r"|perhaps|possibly|alternatively)\b"
)
"""What announces that the sentence turns to another option."""
COMPARES = (
    r"\b(?:than|unlike|versus|vs|over|instead of|rather than|opposed to|compared (?:to|with)"
    r"|contrast(?: to| with)?|nor|not|differ\w*|between|from|except)\b"
)
"""What stands before a letter that is compared away."""
