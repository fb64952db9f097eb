"""What an interviewer may never say to a patient, whoever worded it.

An interviewer asks. So a question may pass, and of statements only those of a few known kinds: thanks, regret, what
happens with the answers, a request for more, the fixed advice to seek care. Everything else is refused, and the scripted
words are sent instead. Lists of what is forbidden (diagnosis, drug, dose, prognosis, "no need for care", reassurance)
stand behind that and give the refusal its name; alone they would not do, for nobody can list every way to say it.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from anamnesis.clinical.findings import fold


@dataclass(frozen=True, slots=True)
class Approved:
    """The text may be sent."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The text may not be sent; reason names the rule."""

    reason: str


_DRUGS: Final = (
    r"(?:paracetamol|panadol|ibuprofen|aspirin|\w+cillin|\w+floxacin|\w+mycin|\w+azole|flagyl|coartem|artemether|artesunate|quinine|septrin|cotrimoxazole|"
    r"doxycycline|ceftriaxone|morphine|tramadol|diclofenac|\w+formin|insulin|prednisolone|\w*cortisone|salbutamol|ventolin|diazepam|warfarin|cetirizine|"
    r"\w+dipine|\w+olol|\w+pril|\w+artan|\w+statin|zinc|antibiotics?|painkillers?|pain relief|antimalarials?|steroids?|antihistamines?|antacids?|"
    r"inhalers?|cough syrup|rehydration salts|ors|creams?|blood pressure medicines?|medicines?|tablets?|pills?|injections?)"
)
_ILLNESS: Final = (
    r"(?:malaria|flu|influenza|(?:common )?cold|migraines?|stroke|heart attack|cancer|pneumonia|(?:\w+ ){0,3}infection|appendicitis|\w+itis|typhoid|(?:\w+ )?ulcers?|"
    r"asthma|diabetes|diabetic|hypertension|hypertensive|anxiety|depression|depressed|tb|tuberculosis|covid(?:-19)?|(?:an? )?allerg(?:y|ic reaction)|virus|uti|angina|anaemi[ac]|anemi[ac]|"
    r"croup|pre-?eclampsia|measles|chickenpox|kidney stones?|indigestion|dehydrat(?:ion|ed)|ectopic pregnancy|pregnant|panic attack|sepsis|dengue|reflux|sprain|fracture|hernia|"
    r"ebola|cholera|hiv|epilepsy|miscarriage|heart failure|heart disease|clot|shingles|scabies|eczema|gout|jaundice|concussion|haemorrhoids|piles|worms|food poisoning|stress|ocd|psychosis|syphilis|gonorrh(?:o?ea)|chlamydia|herpes|gallstones?|cirrhosis|leuka?emia|lymphoma|tumou?rs?|fibroids?|cysts?|endometriosis|thrombosis|embolism|dementia|schizophrenia|tetanus|rabies|ringworm|impetigo|sciatica|slipped dis[ck]|colic|lupus|psoriasis|copd|emphysema)"
)
_MAYBE: Final = r"(?:\w+ly |just |only |most likely |likely |most |going to be |likely to have |a case of |an? |the |nothing but |to be |be |some |some kind of |possibly |(?:bad|mild|severe|simple|common|small) )*"
_DIAGNOSIS: Final = re.compile(
    rf"\b(?:you|this|it|that|he|she|they|your child|your baby|the child|the (?:rash|pain|baby|headache|cough|lump|fever)|(?:what|which) you describe)(?: (?:\w+ly|just|may|might|could|must|also|all|do|does|now))*"
    rf"(?:'s|'re|'ve|s| is| are| has| have| had| may| might| could| must| would| can| will| seems?| appears?| looks?| sounds?)"
    rf"(?: (?:be|have|got|has|had|been|having|getting|like|developing|suffering from|a sign of|due to|caused by|typical of|to be|to have|suffer from|consistent with|called|from|because of|down with))* {_MAYBE}{_ILLNESS}\b"
    rf"|\b(?:sounds|looks|seems|appears|feels) like (?!you (?:have told|need)|the right)\w+"
    rf"|\b(?:symptoms?|signs?|picture|story|features) (?:of|fits?|are those of|is that of|match(?:es)?) {_MAYBE}\w*{_ILLNESS}\b"
    rf"|\b(?:consistent with|typical of|characteristic of|suffering from|caused by|due to) {_MAYBE}(?:\w+ ){{0,2}}{_ILLNESS}\b"
    rf"|\b(?:suggests?|indicates?|points? to|means?|confirms?|is a sign of|suspect\w*|believe|think|say)\b[^.?!\n]{{0,30}}\b{_ILLNESS}\b"
    r"|\bdiagnos(?:is|es|ed)\b(?! (?:or|,))|\bdifferential\b|\b(?:most )?likely (?:cause|diagnosis|you have|this is|it is|it's)\b|\bi suspect\b|\byou are suffering\b"
    rf"|\bit(?:'s| is) (?:just |only |probably )?(?:an? |the )?{_ILLNESS}\b"
    r"|\b(?:weak|bad|enlarged|swollen|blocked|inflamed|damaged|failing|diseased) (?:heart|liver|kidneys?|lungs?|pancreas|gall ?bladder|appendix|spleen|prostate|thyroid|arter(?:y|ies)|valves?)\b"
    r"|\bpoints? to (?:the|your|his|her|an?) \w+"
)
_BARE_ILLNESS: Final = re.compile(
    rf"^\W*(?:possibly|probably|likely|maybe|perhaps|just)? ?(?:an? |the )?{_ILLNESS}\W*$"
)
_ADVISED_DRUG: Final = re.compile(
    rf"\b(?:take|taking|try|use|using|start|starting|stop|buy|get|give|need|needs|recommend|suggest|prescribe|double|increase|reduce|switch to|have some|swallow|apply|chew|want)\b[^.?!\n]{{0,50}}\b{_DRUGS}\b"
    rf"|\b{_DRUGS}\b[^.?!\n]{{0,30}}\b(?:will|would|should|can|could|may|might) (?:help|work|do|be)|\b{_DRUGS} (?:is|are) (?:fine|good|best|safe|ok|okay|enough|what you|the best|helpful|useful)|\b{_DRUGS} works?\b"
)
_DOSE: Final = re.compile(
    r"\b(?:\d+(?:[.,/]\d+)?|half|one|two|three|four|five|six|ten|a few|some) ?(?:an? )?(?:mg|mcg|µg|ml|g|milligrams?|grams?|tablets?|pills?|capsules?|drops|puffs?|units?|spoons?|teaspoons?|doses?)\b"
    r"|\b(?:double|triple|half) (?:the |your |a )?dose\b|\ba double dose\b|\b(?:once|twice|thrice|(?:two|three|four|\d) times) (?:a|per|every|each) (?:day|night)\b|\b(?:once|twice|three times|four times) daily\b"
    r"|\bevery (?:\d+|two|four|six|eight|twelve) hours\b|\bcapsules? daily\b|\b(?:take|swallow|give) (?:one|two|three|four|half|a few|some|\d+)\b(?! (?:people|person|relatives?))"
)
_TREATMENT: Final = re.compile(
    r"\b(?:put|apply|rub|place|hold|use)\b[^.?!\n]{0,30}\b(?:ice|honey|butter|compress|cloth|oil|toothpaste|bandage|tourniquet|cream)\b|\btie (?:a|the|it|your)\b(?<!not tie it)|\b(?:make yourself|try to) vomit\b(?<!not try to vomit)"
    r"|\b(?:drink|have) (?:plenty|lots|more|a lot|some|ginger|warm|hot)\b|\b(?:you|he|she) (?:should|must|need to|have to|could|can|may|might want to) (?:rest|fast|eat|drink|avoid|sleep|exercise|massage|bathe|lie)\b"
    r"|\bneeds? (?:an? )?(?:operation|surgery|drip|transfusion|x-?ray|scan|antibiotic|injection)\b|\b(?:massage|gargle|ginger tea|hot bath|warm bath|salt water|steam)\b|\btry (?:some |a |an )?(?:tea|\w+ tea|exercise|yoga|lying)\b|\badvise (?:rest|you)\b"
    r"|\b(?:when|once|after|as soon as|until) you(?:'ve| have)? (?:taken|used|tried|swallowed|drunk|eaten|rested|slept)\b|\b(?:soft|light|bland) (?:foods?|diet|meals?)\b|\bif you (?:wait|rest|stay|stop)\b"
    r"|(?:[,;:]|\band\b|\bthen\b|\bbut\b)\s*(?:then |just |please |try to |also )*(?:take|drink|eat|rest|sleep|stop|avoid|cut|double|halve|skip|fast|massage|apply|give|use|wait|relax|lie|put|buy|start|reduce|increase|swallow|breathe|chew)\b(?! (?:the (?:bottle|packet|child)|somebody))"
)
_PROGNOSIS: Final = re.compile(
    r"\b(?:you|it|this|that|he|she|they|the baby|your child)(?:'ll| will| should| are going to| is going to|'re going to|'s going to| may| might| could| can)(?: \w+ly| soon)? (?:be (?:fine|ok|okay|all right|alright|better|well|back|cured|gone)|feel better|recover|get (?:better|worse)|survive|die|live|pass|go away|clear|heal|kill|resolve|improve|settle)\b"
    r"|\b(?:clears? up|resolves?|heals?|goes away|passes|settles)\b[^.?!\n]{0,25}\b(?:by itself|on its own|soon|quickly|days?|week|itself)\b|\b(?:it|this) (?:heals|passes|goes away|resolves|won't last|will not last)\b|\bmost people recover\b|\boutlook is\b|\bprognosis\b|\bwithin a few days\b|\bgoing to (?:recover|be (?:fine|ok|okay)|pass|die)\b"
)
_NO_CARE: Final = re.compile(
    r"\b(?:no need|don't need|do not need|needn't|need not|not necessary|don't have to|do not have to|no reason|wouldn't|would not|unnecessary)\b[^.?!\n]{0,25}\b(?:see|visit|go|worry|bother|doctor|hospital|clinic|call|anyone|panic)\b"
    r"|\b(?:stay|rest|remain|keep (?:him|her|it)|monitor it|watch it|keep an eye on it) at home\b|\bkeep an eye on it\b|\bnothing (?:serious|to worry|to be concerned|bad|to fear|dangerous)\b"
    r"|(?:\bnot|n't)(?: sound| look| seem| be| at all| really| that| very| so)* (?:serious|dangerous|an emergency|urgent|needed|bad)\b|\bno (?:hospital|doctor|clinic)\b|\bwait and see\b|\bsee how it goes\b|\bharmless\b"
    r"|\b(?:can|could|safe to|okay to|ok to|fine to) wait\b|\bwait (?:until|till|for (?:a|the|some)|another)\b|\bcancel (?:the|your)\b|\bskip the\b|\b(?:don't|do not) (?:go|call|visit)\b(?! alone)|\bcome back (?:only|if|next|in)\b|\bmonitor\b"
    r"|\b(?:call|go|come|see)\b[^.?!\n]{0,50}\b(?:only|unless|tomorrow|next (?:week|month|day|monday|tuesday|wednesday|thursday|friday)|later|if you like|when you have time|after (?:the|this) (?:weekend|week|holidays?)|on (?:mon|tues|wednes|thurs|fri)day)\b|\bonly (?:call|go|come|see)\b"
)
_REASSURANCE: Final = re.compile(
    r"\b(?:don't|do not|not to|never|no need to) (?:worry|panic|be (?:afraid|scared|worried|concerned))\b|\bno worries\b|\brelax\b|\bcalm down\b|\bstay calm\b|\b(?:everything|all|it|things|you)(?:'s| is|'re| are| will be|'ll be) (?:ok|okay|fine|all right|alright|well|good|safe|completely normal|normal)\b"
    r"|\byou are safe\b|\brest assured\b|\bgood sign\b|\bi'?m sure\b|\bprobably nothing\b|\bno cause for\b|\bcompletely normal\b|\b(?:this|it|that)(?:'s| is) (?:completely |quite |very |perfectly )?(?:normal|common|okay|ok|fine)\b|\bin good hands\b|\bnothing bad\b|\ball will be well\b"
)
_DELAY: Final = re.compile(
    r"\b(?:no rush|no hurry|take your time)\b|\bbefore you go\b|\binstead of going\b|\bwait for the doctor\b|\bgo tomorrow\b|\bstay here\b|\bfirst finish\b|\bfinish (?:the|these) questions before\b"
)
_IDENTITY: Final = re.compile(
    r"\b(?:i am|i'm|this is|speaking as|as) (?:a |an |your |the )?(?:qualified |trained |real |senior )?(?:doctor|nurse|physician|clinician|medical professional|dr)\b(?! (?:has|will|is))"
)
_ACTIVE: Final = re.compile(r"<[a-z/!]|javascript:|!\[|\]\(|https?:|\bwww\.|data:text")
#: Swahili and Luganda, drafts: the commonest ways to say the same. Whatever the language of the interview, all are checked.
_OTHER_LANGUAGES: Final = re.compile(
    r"\b(?:una|ana|hii ni|ni|huenda ni|yaweza kuwa) (?:malaria|homa ya|saratani|kisukari|nimonia|kifua kikuu|typhoid|ukimwi)\b|\butapona\b|\busijali\b|\busiogope\b|\bsi hatari\b|\bhakuna (?:haja|shida|hatari)\b|\bmeza\b|\bvidonge\b|"
    r"\bmara (?:moja|mbili|tatu|nne)(?: kwa siku)?\b|\b(?:chukua|kunywa|tumia) (?:dawa|panadol|\w+cillin|paracetamol)\b|\b(?:kaa|kukaa|baki) nyumbani\b|"
    r"\bolina (?:omusujja|malaria|sukaali|puleesa|kookolo|lubyamira)\b|\bteweeraliikirira\b|\btotya\b|\bojja ku(?:wona|ba bulungi)\b|\b(?:mira|kozesa|nywa) (?:eddagala|panadol|empeke)\b|\bemirundi (?:ebiri|esatu|ena)\b|\btekyetaagisa\b|\bsi kya bulabe\b|\bsigala awaka\b"
)
_ASKS: Final = re.compile(
    r"^\W*(?:and |or |also |thank you[.,]? |so |(?:now )?about (?:your|the|his|her) [\w ]{2,25}: |(?:the|your|his|her) [\w ]{2,25}, )*(?:do|does|did|have|has|had|are|is|was|were|which|what|when|where|who|how|can|could|would|will|shall|any|if|at|has|how|in|for|on|with|may|since when|je)\b"
)
#: "A cup, or more?": the end of a question, which names neither illness nor medicine.
_CHOICE: Final = re.compile(r"^[\w ,'-]{1,40}\bor\b[\w ,'-]{1,40}\?$")
#: What takes an illness for granted: "when did your pneumonia begin?". Some words are said of people who are well, too.
_PRESUMED: Final = re.compile(
    rf"\b(?:your|this|that|the|his|her|did (?:you|he|she|they) (?:get|catch|contract)) (?:\w+ )?(?!(?:cold|stress|pregnant|depressed|dehydrated|worms|clot)\b){_ILLNESS}\b(?! (?:tests?|clinics?|cards?|vaccin\w+|jabs?|status|results?|medicines?|tablets?|drugs|doctor|injections?|shots?))"
    r"|\b(?:your|his|her|the) (?:heart|liver|kidneys?|lungs?|brain) (?:damaged|failing|enlarged|diseased|weak)\b"
)
#: A claim at the end of a sentence that began as a kind that may be said: "thanks, and this is only wind".
_CLAIM: Final = re.compile(
    r"\b(?<!what )(?:it|this|that|which)(?:'s| is| was| points?| means?| looks?| seems?)\b(?! (?:noted|all right|written))"
    r"|\b(?:is|are) (?:fine|ok|okay|normal|good)\b|\bi(?:'d| would)\b(?! (?:like|need))|[,;:] so\b(?! that)|\band so\b|\b(?:therefore|hence|because)\b"
)
_ADVISING_QUESTION: Final = re.compile(
    rf"\bwhy (?:not|don't you)\b|\bshould you\b|\bhow about\b|\bwhat about\b|\bdid you know\b|\b(?:know|aware|realise|realize|think|agree) (?:that )?(?:you|this|it|he|she)\b(?! (?:is|are) (?:causing|the cause))|\bcould (?:this|it|that) be\b|"
    rf"\b(?<!what )have you (?:tried|considered|thought)\b|\b(?:want|like|wish|prefer|care|mind) (?:to )?(?:try|tak\w+|us(?:e|ing)|start\w*|stop (?:tak|us)\w+|buy\w*|drink\w*|rest\w*|wait\w*|stay\w*)\b|\b(?:can|could|would|will|may|might) (?:you|he|she|they) (?:please )?(?:take|try|use|start|stop|buy|get|give|drink (?:some|more|plenty|a|lots|this|ors)|wait|stay|rest|relax)\b|\bis it (?:ok|okay|fine)\b|\bshall (?:we|i|you)\b(?! (?:ask|go on|continue))|\bis (?:it|this|that) (?:not|just|simply|only|perhaps|maybe)\b|\b(?:sounds|looks|seems) like\b|"
    rf"\b(?:because|since|as|which|so|given that) (?:this|it|that|you)\b[^?]*\b{_ILLNESS}\b|\bisn't it\b|, right\?$"
)
#: The kinds of statement an interviewer may make, each a whole sentence.
_ALLOWED: Final = re.compile(
    r"(?:thanks?(?: you)?\b.{0,80}|noted\b.{0,20}|all right\b.{0,40}|that is all right, we can leave that|ok(?:ay)?|i see|i understand|understood|got it\b.{0,20}|hello(?: [\w{}'-]+){0,4}|hi|good (?:morning|afternoon|evening)|yes|"
    r"(?:i am|i'm) (?:very |so )?sorry\b.{0,60}|sorry\b.{0,40}|that (?:sounds|must be) (?:very |really )?(?:hard|difficult|painful|frightening|unpleasant|tiring|worrying)|that helps\b.{0,30}|"
    r"i (?:have|'ve) (?:written|noted|corrected|read|told your doctor)\b.{0,80}|i (?:did not|didn't) understand\b.{0,30}|i cannot (?:answer|say|tell|give advice)\b.{0,60}|i (?:will|would like to|am going to|'ll) (?:ask|pass|write|note|need to ask)\b.{0,80}|i am (?:only )?a computer\b.{0,40}|a computer asks them|"
    r"i have told your doctor\b.{0,80}|let (?:me|us) (?:ask|go on|continue)\b.{0,50}|now(?:,)? (?:i|let|about|a few questions)\b.{0,50}|"
    r"(?:please )?(?:tell|write|describe|send|check|say|choose|list|name|count|go on|correct)\b.{0,120}|please (?:give the|see a (?:doctor|health worker)|see a doctor or health worker today|do not wait for an answer here)\b.{0,120}|when you can, please\b.{0,60}|if you can measure, tell me\b.{0,120}|if not, say\b.{0,30}|you can (?:correct anything\b.{0,20}|name more than one|go on\b.{0,60}|close this page at any time)|"
    r"here is what\b.{0,50}|please be seen by a health worker today|about [\w {}]{2,30}, i first read\b.{0,120}|that reading looks unusual\b.{0,60}|what should i change|"
    r"(?:your|the|a|only your) doctor (?:here )?(?:reads?|decides?|will (?:read|look|see|decide|call)|can (?:see|answer|decide)|has been told)\b.{0,60}|it helps the doctor\b.{0,30}|your (?:answers|message) (?:are|is)\b.{0,60}|"
    r"this is not an emergency service|if (?:anything changes|you feel worse|it (?:feels like an emergency|gets worse)|you (?:might hurt yourself|are in danger now))\b.{0,160}|"
    r"(?:what you describe|this|this child) (?:needs|may need) care now(?:, even if you feel well)?|go to the nearest (?:hospital|health|clinic|police)\b.{0,80}|call (?:999|112)\b.{0,40}|do not (?:wait for an answer here|go alone if you can help it|try to vomit|cut it or tie it)|"
    r"take (?:somebody with you|the (?:bottle|packet|child)\b.{0,100})|keep (?:the|this) (?:child warm|bitten part still\b.{0,20})|i am glad you told me|you matter, and help is there|what is happening is not your fault|you are not alone with this|"
    r"(?:asante|weebale|pole|habari|gyebale ko)\b.{0,40}|nimeandika\b.{0,30}|mpandiise\b.{0,30})[\s.!:;]*"
)
#: The same kinds in Swahili and Luganda: drafts, and narrower still.
_ALLOWED_ELSEWHERE: Final = re.compile(
    r"(?:nitakuuliza maswali ili daktari wako akusaidie|kompyuta inauliza|daktari wako (?:anasoma majibu yako|ameambiwa)|hii si huduma ya dharura|sawa(?:, asante|, tuache hilo)?|samahani, sikuelewa|"
    r"ujumbe wako umehifadhiwa na daktari anauona|ikiwa ni dharura, nenda hospitali ya karibu au piga 999 au 112|unachoeleza kinahitaji huduma sasa|nenda hospitali au kituo cha afya cha karibu, au piga 999 au 112|"
    r"tafadhali muone daktari au mhudumu wa afya leo|ikizidi, nenda hospitali ya karibu au piga 999 au 112|mtoto huyu anahitaji huduma sasa|mpeleke hospitali ya karibu, au piga 999 au 112|"
    r"ngenda kukubuuza ebibuuzo omusawo wo asobole okukuyamba|kompyuta y'ebuuza|omusawo wo (?:asoma by'oddamu|ategeezeddwa)|kino si kifo kya bya mangu|kale(?:, weebale|, ekyo tukireke)?|nsonyiwa, sitegedde|mpandiise ekyo|"
    r"ky'onyumya kyetaaga obujjanjabi kaakano|genda mu ddwaliro erikuli okumpi,? oba kuba 999 oba 112|laba omusawo leero|bwe kyeyongera, genda mu ddwaliro erikuli okumpi,? oba kuba 999 oba 112|"
    r"omwana ono yeetaaga obujjanjabi kaakano|mutwale mu ddwaliro erikuli okumpi,? oba kuba 999 oba 112)[\s.!:;]*"
)
_ENGLISH: Final = re.compile(r"\b(?:the|you|your|it|this|that|is|are|and|of|to|have|i|a)\b")
_TERM: Final = re.compile(rf"\b(?:{_ILLNESS}|{_DRUGS})\b")
_LISTED: Final = re.compile(r"^\s*[–-]\s")
_MOST_LISTED_WORDS: Final = 12
_TOLD: Final = re.compile(
    r"^\W*(?:you (?:told|said|wrote|mentioned)|thank you for telling|about [\w {}]{2,30}, i first read)\b"
)
#: What may be said although a pattern would refuse it: our fixed advice, reviewed with the locales.
_OWN_WORDS: Final = (
    "this is not an emergency service", "not an emergency service", "do not wait for an answer here", "do not go alone if you can help it",
    "do not try to vomit", "do not cut it or tie it", "even if you feel well", "not a doctor", "please see a doctor or health worker today",
    "stay with somebody you trust", "take the bottle or packet with you", "feels like an emergency",
)  # fmt: skip
_ASSERTIONS: Final = (("diagnosis", _DIAGNOSIS), ("drug", _ADVISED_DRUG), ("dose", _DOSE), ("treatment", _TREATMENT))
_EVERYWHERE: Final = (
    ("prognosis", _PROGNOSIS), ("no_need_for_care", _NO_CARE), ("invented_identity", _IDENTITY),
    ("active_content", _ACTIVE), ("other_language", _OTHER_LANGUAGES),
)  # fmt: skip
_SENTENCE: Final = re.compile(r"[^.?!\n]+[.?!]*")
_INVISIBLE: Final = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff*_`~]")
_QUOTED: Final = re.compile(r"“([^”]*)”")


def check_reply(text: str, *, after_flag: bool, language: str = "en", told: Sequence[str] = ()) -> Approved | Refused:
    """Whether a text may reach a patient.

    told are the patient's own words: where the text quotes them in “ ”, they are not the interviewer's statement.
    Questions may name illnesses and medicines; statements are of known kinds and name neither. Reassurance is refused always, and named apart after
    a red flag, where it can kill. Every language's rules are checked, whichever the interview is in (language names
    the one it is in, for a stricter reader to come).
    """
    del language
    plain = _plain(text, told)
    judged = _without_own(plain)
    for reason, pattern in _EVERYWHERE:
        if pattern.search(judged):
            return Refused(reason)
    if _REASSURANCE.search(judged):
        return Refused("reassurance_after_flag" if after_flag else "reassurance")
    if after_flag and _DELAY.search(judged):
        return Refused("delay")
    known = fold(" ".join(told))
    fault = next(_faults(plain, known), None)
    return Approved() if fault is None else Refused(fault)


def terms(text: str) -> frozenset[str]:
    """The illnesses and medicines a text names, folded."""
    return frozenset(match.group() for match in _TERM.finditer(_plain(text, ())))


def _plain(text: str, told: Sequence[str]) -> str:
    """The text as it is judged: without invisible and formatting characters, the patient's own words and fixed advice."""

    def kept(quoted: re.Match[str]) -> str:
        said = quoted.group(1).removesuffix(" …").split("; ")
        return " " if all(any(part in words for words in told) for part in said) else quoted.group()

    without = _QUOTED.sub(kept, text)
    plain = fold(unicodedata.normalize("NFKC", _INVISIBLE.sub("", without)))
    return re.sub(r"[^\S\n]+", " ", plain)


def _without_own(plain: str) -> str:
    for own in _OWN_WORDS:
        plain = plain.replace(own, " ")
    return plain


def _sentences(plain: str) -> Iterator[str]:
    for line in plain.splitlines():
        if _LISTED.match(line):
            yield line
        else:
            yield from (match.group().strip() for match in _SENTENCE.finditer(line) if match.group().strip())


def _faults(plain: str, known: str) -> Iterator[str]:
    """Why the text may not be said, sentence by sentence. known are the patient's own words."""
    opens_list = False
    for sentence in _sentences(plain):
        is_item = _LISTED.match(sentence) is not None
        fault = _fault_of_item(sentence, opens_list=opens_list) if is_item else _fault(sentence, known)
        if fault is not None:
            yield fault
        opens_list = opens_list if is_item else sentence.endswith(("?", ":"))


def _fault_of_item(item: str, *, opens_list: bool) -> str | None:
    """Why an item of a list may not be said: it states something, or no question asked for the list."""
    named = next((reason for reason, pattern in _ASSERTIONS if pattern.search(item)), None)
    is_fine = opens_list and len(item.split()) <= _MOST_LISTED_WORDS
    return named or (None if is_fine else "statement")


def _fault(sentence: str, known: str) -> str | None:
    """Why a sentence may not be said, or None. A question that advises, or takes an illness for granted, is none."""
    if sentence.endswith("?") and _is_asking(sentence):
        presumed = _PRESUMED.search(sentence)
        is_known = presumed is None or (_TERM.search(presumed.group()) and _is_known(presumed.group(), known))
        return None if is_known else "diagnosis"
    judged = _without_own(sentence)
    named = _named(judged, known)
    if named is not None:
        return named
    if _TOLD.match(sentence):
        is_plain = len(sentence.split()) <= 2 * _MOST_LISTED_WORDS and not _CLAIM.search(judged)
        return None if is_plain and _is_known(judged, known) else "statement"
    if _BARE_ILLNESS.match(judged):
        return "diagnosis"
    if _ALLOWED_ELSEWHERE.fullmatch(sentence):
        return None
    return None if _ALLOWED.fullmatch(sentence) and _is_plain(sentence, judged) else "statement"


def _named(judged: str, known: str) -> str | None:
    """The name of what is stated though it may not be, if the patient did not say just that."""
    for reason, pattern in _ASSERTIONS:
        match = pattern.search(judged)
        if match is not None and not (_TOLD.match(judged) and _is_said(judged, match, known)):
            return reason
    return None


def _is_said(judged: str, match: re.Match[str], known: str) -> bool:
    """Whether the patient said just that; where their words are not at hand, whether it is told as theirs."""
    return match.group() in known or (not known and judged[: match.start()].endswith("you "))


def _is_known(said: str, known: str) -> bool:
    """Whether every illness and medicine that is named was named by the patient, as far as their words are at hand."""
    return not known or all(match.group() in known for match in _TERM.finditer(said))


def _is_plain(sentence: str, judged: str) -> bool:
    """Whether a sentence of a kind that may be said ends as it began: it claims nothing and names no illness."""
    is_request = re.match(r"(?:please )?(?:tell|count|name|list|take the (?:bottle|packet))", sentence) is not None
    is_claim = _CLAIM.search(judged) is not None and not _CLAIM.match(judged)
    return not is_claim and (is_request or not _TERM.search(judged))


def _is_asking(sentence: str) -> bool:
    """Whether a sentence that ends with a question mark only asks; in another language than English it is taken to."""
    if _ADVISING_QUESTION.search(sentence):
        return False
    is_choice = _CHOICE.match(sentence) is not None and not _TERM.search(sentence)
    return is_choice or _ASKS.match(sentence) is not None or not _ENGLISH.search(sentence)
