from anamnesis.clinical.guardrails import Approved, check_reply
from anamnesis.content import load_content
from anamnesis.content.loading import failing_examples


def test_every_example_of_every_rule_does_what_it_says():
    assert failing_examples(load_content()) == ()


def test_every_text_for_patients_passes_the_guard():
    content = load_content()
    texts = [text for locale in content.interview.locales.values() for text in locale.texts.values()]
    refused = [text for text in texts if not isinstance(check_reply(text, after_flag=True), Approved)]
    assert refused == []


def test_every_question_says_why_it_is_asked():
    assert all(question.why for question in load_content().interview.agenda.questions)
