"""Other languages than English: by which words an answer is named, chosen, called correct and
denied. Plain words, `|` between them.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """The words of one language, in lower case."""

    nouns: str
    """What an answer is called."""
    options: str
    """What an option is called: the word labels a letter, and chooses it only with a link or a
    qualifier."""
    known: str
    """What may stand around such a noun and still choose: determiners, qualifiers, links. Any other
    word makes it no choice."""
    correct: str
    """What is said of a letter that is chosen."""
    chooses: str = ""
    """Verbs that choose, with their subject."""
    denies: str = ""
    """What denies wherever it stands in the clause; a final `*` stands for any ending."""
    it_is: str = ""
    """What chooses where a sentence begins so."""


LANGUAGES = {
    "German": Language(
        "antwort|antwortoption|lösung|diagnose",
        "auswahl|antwortmöglichkeit|option",
        "der|die|das|den|meine|unsere|richtige|richtig|korrekte|korrekt|beste|zutreffende"
        "|wahrscheinlichste|endgültige|finale|ist|lautet|wäre|somit|daher"
        "|also|deshalb|folglich|option|buchstabe|hier|am|ehesten",
        "richtig|korrekt|zutreffend|die richtige|die korrekte|die beste|am wahrscheinlichsten",
        "ich wähle|ich nehme|ich würde|ich entscheide mich für|wähle|wir wählen",
        "nicht|kein*|falsch*|unwahrscheinlich*|ausgeschlossen|ausschließen|ausgeschieden|weder"
        "|niemals|nie|inkorrekt*|unzutreffend*|scheidet|zweitbeste*|passt nicht",
        it_is="es ist|das ist|richtig ist|korrekt ist|zutreffend ist",
    ),
    "French": Language(
        "réponse|reponse|diagnostic",
        "choix|option|proposition",
        "la|le|les|l|ma|notre|bonne|meilleure|meilleur|correcte|correct|exacte|exact|juste|finale"
        "|plus|probable|appropriée|est|serait|donc|lettre|option|ainsi|c",
        "correcte|correct|exacte|exact|juste|la bonne|la meilleure|la plus probable",
        "je choisis|je sélectionne|je retiens|je répondrais|je choisirais|choisissez|je dirais",
        "pas|faux|fausse*|aucun|aucune|jamais|exclure|exclu|exclue|écart*|erroné|erronée"
        "|improbable|incorrect|incorrecte*|inexact*",
        it_is="c'est|il s'agit de",
    ),
    "Spanish": Language(
        "respuesta|diagnóstico|elección|contestación",
        "opción|opcion|alternativa",
        "la|el|mi|nuestra|mejor|correcta|correcto|adecuada|acertada|final|más|probable|es|sería"
        "|por|lo|tanto|entonces|así|opción|letra|literal|alternativa",
        "correcta|correcto|acertada|la correcta|la mejor|la más probable|la adecuada",
        "elijo|escojo|selecciono|elegiría|escogería|me quedo con|opto por|yo elegiría",
        "nunca|no es|no está|no sería|no puede|no corresponde|no elegiría|no escogería|no elijo"
        "|no creo|no se|incorrecta*|incorrecto*|falsa*|falso*|errónea*|erróneo*|equivocada*"
        "|equivocado*|descarta*|descartar*|excluye|excluir*|excluida|excluido|tampoco"
        "|ninguna|ninguno|excepto|salvo|improbable",
        it_is="es la|es el|es|la correcta es|la correcta es la|sería la",
    ),
    "Portuguese": Language(
        "resposta|gabarito|diagnóstico|escolha",
        "opção|alternativa",
        (
            "a|o|minha|melhor|certa|certo|correta|correto|final|mais|provável|é|seria|portanto"
            "|assim|logo|letra|opção|alternativa"
        ),
        "correta|correto|certa|a correta|a certa|a melhor|a mais provável",
        "escolho|seleciono|escolheria|marco|opto por|eu escolho|eu escolheria",
        "não|nao|nunca|incorreta*|incorreto*|errada*|errado*|falsa*|falso*|descarta*|exclui*"
        "|excluída|excluído|nem|nenhuma|nenhum|exceto|improvável",
        it_is="é a|é o|é|seria a|a correta é|a certa é|a letra correta é",
    ),
    "Italian": Language(
        "risposta|diagnosi",
        "opzione|scelta|alternativa",
        (
            "la|il|l|mia|migliore|corretta|corretto|esatta|giusta|finale|più|probabile|è|sarebbe"
            "|quindi|dunque|lettera|opzione"
        ),
        "corretta|corretto|esatta|giusta|la corretta|la migliore|la più probabile",
        "scelgo|seleziono|sceglierei|opto per|io scelgo",
        "non|mai|sbagliata*|sbagliato*|errata*|errato*|scorretta|scorretto|falsa|falso|esclusa"
        "|escluso|escludere|escludiamo|si esclude|tranne|improbabile|nessuna|nessuno|né",
        it_is="è la|è il|è|sarebbe la|la corretta è|la giusta è",
    ),
    "Dutch": Language(
        "antwoord|diagnose",
        "keuze|optie",
        "het|de|mijn|juiste|goede|correcte|beste|is|dus|daarom|optie|letter|meest|waarschijnlijke",
        "juist|correct|goed|het juiste|het beste|het goede",
        "ik kies|ik zou|wij kiezen",
        (
            "niet|geen|fout|foute|onjuist|onjuiste|nooit|onwaarschijnlijk|uitgesloten|verkeerd"
            "|verkeerde|noch"
        ),
        it_is="het is",
    ),
    "Polish": Language(
        "odpowiedź|odpowiedz|odpowiedzią|rozpoznanie",
        "opcja|wybór",
        "prawidłowa|prawidłową|poprawna|poprawną|właściwa|moja|to|jest|najlepsza|więc|zatem|opcja",
        "prawidłowa|poprawna|właściwa|prawidłową|poprawną",
        "wybieram|wybrałbym|wybrałabym",
        "nie|błędn*|nieprawidłow*|fałszyw*|wyklucz*|żadna|ani|nigdy",
        it_is="to",
    ),
    "Czech": Language(
        "odpověď|odpoveď",
        "možnost|volba",
        "správná|správně|je|moje|nejlepší|tedy|možnost",
        "správná|správně",
        "volím|vybírám",
        "není|nie|nesprávn*|špatn*|chybn*|vyloučen*|ne|nikdy|ani",
        it_is="správně je|je to",
    ),
    "Scandinavian": Language(
        "svar|svaret",
        "alternativ|valg|val",
        "rätt|rätta|riktiga|riktig|rett|rette|riktige|rigtige|korrekt|korrekta|korrekte|bästa"
        "|beste|bedste|det|er|är|mitt|mit|min|altså|alltså",
        "rätt|riktig|rett|korrekt|rigtigt|det rätta|det riktige|det rigtige",
        "jag väljer|jeg vælger|jeg velger",
        (
            "inte|ej|felaktig*|ikke|feil|forkert|forkerte|fel|aldrig|aldri|usannsynlig|osannolik*"
            "|uteslut*|udelukk*"
        ),
        it_is="det är|det er",
    ),
    "Finnish": Language(
        "vastaus",
        "vaihtoehto",
        "oikea|on|paras|siis|vastaukseni|vaihtoehto",
        "oikein|oikea",
        "valitsen",
        "ei|väärä*|väärin|virheellinen|poissuljettu",
    ),
    "Romanian": Language(
        "răspuns|răspunsul",
        "varianta|opțiunea",
        "corect|corectă|corecta|este|meu|bun|final|deci|varianta|cel|mai|probabil",
        "corect|corectă",
        "aleg|aș alege",
        "nu|greșit*|incorect*|exclus|exclusă|niciodată|nici",
    ),
    "Hungarian": Language(
        "válasz|válaszom",
        "",
        "a|az|helyes|jó|legjobb|végső|tehát",
        "helyes",
        "választom",
        "nem|helytelen|hibás|téves|kizárható|sem",
    ),
    "Turkish": Language(
        "cevap|cevabım|yanıt|yanıtım|tanı",
        "seçenek|şık",
        "doğru|en|olası|olan|uygun|iyi|nihai|bu|nedenle|seçenek",
        "doğru|doğrudur|doğru cevap|doğru cevaptır|doğru yanıt|doğru yanıttır|doğru seçenek",
        "seçiyorum|seçerim",
        "değil*|yanlış*|hariç|olamaz|elenir|elenmiştir|hatalı*|dışlanır|asla",
    ),
    "Russian": Language(
        "ответ|ответом|диагноз",
        "вариант|выбор",
        "правильный|правильным|правильная|верный|верным|мой|моим|наиболее|вероятный|вероятным"
        "|окончательный|является|будет|под|буквой|итак|вариант|поэтому|значит",
        "верный|верна|верен|верно|правильный|правильно|правильный ответ|верный ответ",
        "выбираю|я выбираю|я бы выбрал|выбираем",
        (
            "не|нет|ни|неверн*|неправильн*|ошибочн*|исключ*|исключён*|кроме|маловероят*|нельзя"
            "|никогда|неверен|ложн*"
        ),
        it_is="это",
    ),
    "Ukrainian": Language(
        "відповідь|діагноз",
        "варіант",
        "правильна|правильною|вірна|моя|найбільш|ймовірна|це|є|отже|варіант",
        "правильна|правильний|вірна|вірний",
        "обираю|вибираю",
        "не|ні|неправильн*|невірн*|хибн*|виключ*|крім|жоден|помилков*",
    ),
    "Greek": Language(
        "απάντηση|διάγνωση",
        "επιλογή",
        "η|σωστή|σωστό|καλύτερη|τελική|πιο|πιθανή|είναι|επομένως|άρα|μου|επιλογή",
        "σωστή|σωστό|η σωστή",
        "επιλέγω",
        "δεν|όχι|λάθος|λανθασμένη|μη|αποκλείεται|εσφαλμένη",
    ),
    "Hebrew": Language(
        "תשובה|התשובה",
        "אפשרות|האפשרות",
        "הנכונה|נכונה|היא|הכי|סבירה|הטובה|ביותר|לכן|שלי|הסופית",
        "נכונה|הנכונה",
        "אני בוחר|אני בוחרת",
        "לא|אינה|אינו|שגויה|שגוי|אין|למעט",
    ),
    "Arabic": Language(
        "الإجابة|الاجابة|إجابة|اجابة|الجواب|جواب|التشخيص",
        "الخيار|الاختيار",
        "الصحيحة|الصحيح|الأصح|هي|هو|الأنسب|الأفضل|النهائية|إذن|لذلك|الخيار|الأكثر|احتمالا",
        "صحيح|صحيحة|الصحيح|الصحيحة|هو الصحيح|هي الصحيحة|هو الجواب الصحيح|هي الإجابة الصحيحة",
        "أختار|اختار|سأختار",
        "ليس|ليست|لا|غير|خطأ|خاطئ*|خاطئة|لم|لن|مستبعد*|استبعاد|نستبعد|يستبعد|باستثناء|عدا",
    ),
    "Persian": Language(
        "پاسخ|جواب",
        "گزینه",
        "صحیح|درست|گزینه|نهایی|بنابراین|من",
        "صحیح|درست|صحیح است|درست است",
        "انتخاب می‌کنم",
        "نیست|غلط|نادرست|نه|اشتباه|به جز",
    ),
    "Hindi": Language(
        "उत्तर|जवाब",
        "विकल्प",
        "सही|है|सबसे|उचित|मेरा|अंतिम|इसलिए|अतः|विकल्प",
        "सही|सही है|सही उत्तर|सही विकल्प",
        "मैं चुनता हूँ|मैं चुनूँगा",
        "नहीं|गलत|ग़लत|मत|ना|असंभव|छोड़कर|अलावा",
    ),
    "Bengali": Language("উত্তর", "", "সঠিক|হল|হলো|হচ্ছে|আমার", "সঠিক", "", "না|নয়|ভুল|নেই"),
    "Urdu": Language("جواب", "", "درست|صحیح|ہے|میرا", "درست|صحیح", "", "نہیں|غلط"),
    "Vietnamese": Language(
        "đáp án|câu trả lời|trả lời|chẩn đoán",
        "lựa chọn|phương án",
        "đúng|chính|là|xác|của|tôi|nhất|cuối|cùng|vậy|do|đó|đáp|án|phù|hợp",
        "đúng|là đáp án đúng|là đúng|là câu trả lời đúng|chính xác",
        "chọn|tôi chọn|em chọn|chọn đáp án",
        "không|sai|chưa|chẳng|loại trừ|loại bỏ|ngoại trừ|trừ",
        it_is="là",
    ),
    "Indonesian": Language(
        "jawaban|jawabannya|jawapan|jawapannya",
        "pilihan|opsi",
        "yang|benar|tepat|paling|betul|adalah|ialah|saya|akhir|jadi|opsi|pilihan",
        "benar|tepat|betul|adalah jawaban yang benar|adalah jawaban yang tepat",
        "saya memilih|saya pilih|memilih",
        "bukan|bukanlah|tidak|salah|kecuali|keliru",
    ),
    "Filipino": Language(
        "sagot", "", "ang|tamang|aking|ay|pinal", "tama", "pinipili ko", "hindi|mali|maling"
    ),
    "Swahili": Language(
        "jibu",
        "",
        "sahihi|ni|langu|la|mwisho",
        "sahihi|ni sahihi",
        "nachagua",
        "si sahihi|si jibu|sio|hapana|kosa",
    ),
    "Thai": Language(
        "คำตอบ|คำตอบที่ถูกต้อง|คำตอบสุดท้าย|คำตอบคือ|คำตอบที่ถูกต้องคือ",
        "ตัวเลือก",
        "คือ|ที่ถูกต้อง",
        "ถูกต้อง|เป็นคำตอบที่ถูกต้อง",
        "เลือก|ตอบ",
        "",
    ),
}
"""Languages that put spaces between words, by name; Thai has few of them. The other ones of East
Asia follow."""

HAN_NOUN = (
    r"(?:最も[^,。\n]{1,20}は|答案|选项|選項|诊断|診斷|診断|选择|選擇|回答|正解|正答|答え|解答"
    r"|選択肢|정답|답변|답안|답|선택|진단)"
)
HAN_VERB = (
    r"(?:(?:^|[\s,。;:!?]|我|应|應|故|所以|因此|答案|本题|此题|就|则)(?:选择|選擇|选|選)(?:项|項)?)"
)
HAN_LINK = (
    r"(?:应该|應該|应当|應當|应|應|就|即|便|只能|最可能|最有可能|显然|肯定|一定|确实|的|选项|選項"
    r"|答案|选|選|選択肢|番|是|为|為|は|는|은|가|\s|:)*"
)
"""What may stand between a noun and the letter."""
HAN_CORRECT = (
    r"(?:最符合|符合题意|正确|正確|是对的|是正确|是正確|是最佳|为正确|最佳|最合适|最可能|对的"
    r"|が正解|が正しい|が最も|は正解|は正しい|が適切|を選び|を選択|を選ぶ"
    r"|가 정답|이 정답|번이 정답|가 맞|이 맞|가 옳|이 옳|가 가장|이 가장|를 선택|을 선택|를 고르"
    r"|을 고르)"
)
IT_IS_BEHIND = r"です|だ|である|번입니다|번|입니다|이다|예요|项|項"
"""What may stand behind a letter that is all of an output, or of a line."""
HAN_TAIL = (
    r"(?:です|である|だ|が|は|を|に|で|と|입니다|이다|예요|이에요|번|가|이|를|을|로|임|项|項|选项"
    r"|選項|是|为|為|正确|正確|最)"
)
"""What may follow a letter without a space."""
HAN_DENIES = (
    r"不|别|別|非|没|沒|未|无|無|错|錯|误|誤|排除|除外|勿|莫|否|ない|ません|間違|違う|違い|ではなく"
    r"|아니|아닌|아닙|않|못|틀린|틀렸|틀립|오답|제외|배제|없|ไม่|ผิด|ยกเว้น"
)
HAN_ASKS = r"(?:ですか|ますか|でしょうか|吗|嗎|呢|입니까|인가요|까요|हैं क्या|क्या)"
REASON_WORDS = (
    "weil|da|denn|porque|parce|car|perché|poiché|потому|так|vì|لأن|क्योंकि|çünkü|omdat|want|ponieważ"
    "|bo|karena|fordi|eftersom|deoarece|mert|है|हैं|ہے|und|et|y|e|en|и|och|og"
)
"""What may follow a letter that is called correct, without a stop between."""
REASONS = (
    r"\b(?:weil|da (?:die|der|das|es|hier|ein)|denn|porque|parce que|car|perché|poiché|потому"
    r"|так как|vì|لأن|क्योंकि|çünkü|omdat"
    r"|ponieważ|karena|fordi|eftersom|koska|deoarece|mert|оскільки)\b|因为|因為|由于|ので|から|때문"
)
"""What a reason begins with: a denial behind it denies no choice."""


def one_of(name: str) -> str:
    """A regular expression for any language's words of one kind ("nouns")."""
    # the longest first
    return "|".join(sorted(_phrases(name), key=lambda phrase: (-len(phrase), phrase)))


def last_words(*names: str) -> frozenset[str]:
    """The last words of the phrases of several kinds."""
    return frozenset(phrase.split()[-1] for phrase in _phrases(*names))


def _phrases(*names: str) -> set[str]:
    return {
        unicodedata.normalize("NFKC", phrase)
        for language in LANGUAGES.values()
        for name in names
        for phrase in getattr(language, name).split("|")
        if phrase
    }
