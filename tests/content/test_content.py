from anamnesis.clinical.guardrails import Approved, check_reply
from anamnesis.content import load_content
from anamnesis.content.loading import GROUP, failing_examples, members_of, shared_classes
from anamnesis.content.schema import FindingGroup, LexiconFile


def test_every_example_of_every_rule_does_what_it_says():
    assert failing_examples(load_content()) == ()


def test_every_text_for_patients_passes_the_guard():
    content = load_content()
    texts = [text for locale in content.interview.locales.values() for text in locale.texts.values()]
    refused = [text for text in texts if not isinstance(check_reply(text, after_flag=True), Approved)]
    assert refused == []


def test_every_question_says_why_it_is_asked():
    assert all(question.why for question in load_content().interview.agenda.questions)


def test_a_group_stands_for_the_findings_of_the_groups_it_names_and_none_names_itself():
    problems: list[str] = []
    groups = {
        "cold": FindingGroup(means="cold skin", of=["clammy", "grey"]),
        "shock": FindingGroup(means="failing circulation", of=["fainted", "@cold"]),
    }
    assert members_of(groups, problems)["shock"] == ["fainted", "clammy", "grey"]
    assert problems == []
    members_of({"ring": FindingGroup(means="a ring", of=["@ring", "grey"])}, problems)
    members_of({"gap": FindingGroup(means="a gap", of=["@nobody", "grey"])}, problems)
    assert problems == ["groups: ring names itself", "groups: gap: unknown group nobody"]


def test_no_group_has_its_findings_twice_and_every_rule_knows_its_findings():
    assert all(len(names) == len(set(names)) for rule in load_content().written_rules for names in rule.any_of)
    assert not any(
        name.startswith(GROUP)
        for rule in load_content().written_rules
        for name in {each for names in rule.any_of for each in names}
    )


def test_a_class_of_words_belongs_to_one_file():
    ill = LexiconFile(status="draft", classes={"beast": ["cow"], "tool": ["hoe"]})
    trampling = LexiconFile(status="draft", classes={"beast": ["elephant"]})
    assert shared_classes([ill, trampling]) == ["lexicon: class beast stands in 2 files"]
    assert shared_classes([ill]) == []
