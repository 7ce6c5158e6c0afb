from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from locust_ext.core.messages import MARKER, Feeder, Message, Template
from locust_ext.errors import ConfigError


def generated(template: Template, number: int = 1, seed: int = 1, client_id: str = "user-1") -> list[Message]:
    bound = template.bind(random.Random(seed), client_id)
    return [bound.generate() for _ in range(number)]


def value(text: str, **options: Any) -> Any:
    """What a text becomes in the first message."""
    [message] = generated(Template({"v": text}, **options))
    return message.body["v"]  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{seq}", 1),
        ("no {seq}", "no 1"),
        ("{user}", "user-1"),
        ("{user}/{user}", "user-1/user-1"),
        ("{int:5:5}", 5),
        ("{int:-3:-3} degrees", "-3 degrees"),
        ("{choice:only}", "only"),
        ("{{seq}} and {{}}", "{seq} and {}"),
        ("{now}", "1970-01-01T00:00:12.500Z"),
        ("{now:s}", 12.5),
        ("{now:ms}", 12500),
        ("plain", "plain"),
        ("{marker}", MARKER),
        ("{seq} {marker}", f"1 {MARKER}"),
        ("{Not a placeholder}", "{Not a placeholder}"),
    ],
)
def test_placeholders(text: str, expected: Any) -> None:
    assert value(text, now=lambda: 12.5) == expected


def test_uuids_come_from_the_users_random_numbers() -> None:
    first, again = value("{uuid}"), value("{uuid}")
    assert first == again
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", first)
    assert len({message.body["v"] for message in generated(Template({"v": "{uuid}"}), 50)}) == 50  # type: ignore[call-overload]


def test_numbers_and_words_cover_their_range() -> None:
    made = generated(Template({"n": "{int:1:3}", "w": "{choice:a|b|c d}"}), 200)
    assert {message.body["n"] for message in made} == {1, 2, 3}  # type: ignore[call-overload]
    assert {message.body["w"] for message in made} == {"a", "b", "c d"}  # type: ignore[call-overload]


def test_a_body_keeps_its_form_and_other_values_their_types() -> None:
    body = {"type": "deep", "list": [1, {"who": "{user}"}, "{seq}"], "none": None, "true": True, "number": 1.5}
    [message] = generated(Template(body))
    assert message.name == "deep"
    assert message.body == {
        "type": "deep",
        "list": [1, {"who": "user-1"}, 1],
        "none": None,
        "true": True,
        "number": 1.5,
    }


def test_the_sequence_counts_over_all_templates_of_a_user() -> None:
    template = Template([{"n": "{seq}", "again": "{seq}"}, {"n": "{seq}"}])
    made = generated(template, 10)
    assert [message.body["n"] for message in made] == list(range(1, 11))  # type: ignore[call-overload]
    assert all(message.body.get("again", message.body["n"]) == message.body["n"] for message in made)  # type: ignore[union-attr, call-overload]


def test_yaml_and_json_text_give_names_replies_channels_and_weights() -> None:
    yaml_text = """
    - name: hello
      body: {type: hi, id: "{uuid}"}
      reply: [hi_back, hi_late]
      weight: 3
    - body: {type: beat}
      one_way: true
      channel: monitor
    - body: "just text for {user}"
      weight: 0
    """
    made = generated(Template(yaml_text), 2000)
    counted = Counter(message.name for message in made)
    assert set(counted) == {"hello", "beat"}
    assert 0.7 < counted["hello"] / 2000 < 0.8
    hello = next(message for message in made if message.name == "hello")
    beat = next(message for message in made if message.name == "beat")
    assert hello.reply == ("hi_back", "hi_late")
    assert (hello.one_way, hello.channel) == (False, None)
    assert (beat.one_way, beat.channel) == (True, "monitor")
    assert generated(Template('{"type": "j", "n": "{seq}"}'))[0].body == {"type": "j", "n": 1}


def test_a_file_is_read_once_and_its_errors_name_it(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("type: filed\nwho: '{user}'\n")
    assert generated(Template.from_file(path))[0].body == {"type": "filed", "who": "user-1"}
    path.write_text("type: {uuid}\n")
    with pytest.raises(ConfigError) as caught:
        Template.from_file(path)
    assert str(caught.value) == (f"{path}: type: a placeholder at the start of a text needs quotes in YAML: '{{uuid}}'")
    path.write_text("a: [1\nb: 2\n")
    with pytest.raises(ConfigError) as caught:
        Template.from_file(path)
    assert str(caught.value) == f"{path}: not valid YAML or JSON at line 2, column 2"
    with pytest.raises(ConfigError) as caught:
        Template.from_file(tmp_path / "none.yaml")
    assert str(caught.value) == f"{tmp_path / 'none.yaml'}: the file cannot be read: No such file or directory"


ROWS = [{"name": name, "mail": f"{name}@x"} for name in "abcdef"]


def test_columns_of_one_message_come_from_one_row() -> None:
    for order in ("random", "circular"):
        made = generated(Template({"n": "{csv:name}", "m": "{csv:mail}"}, Feeder(ROWS, order)), 100)
        assert all(message.body["m"] == f"{message.body['n']}@x" for message in made)  # type: ignore[call-overload]
        assert {message.body["n"] for message in made} == set("abcdef")  # type: ignore[call-overload]


def test_circular_rows_go_round_in_the_files_order() -> None:
    made = generated(Template({"n": "{csv:name}"}, Feeder(ROWS, "circular")), 12)
    seen = "".join(message.body["n"] for message in made)  # type: ignore[call-overload]
    assert seen in "abcdef" * 3
    assert len(seen) == 12


def test_unique_rows_are_given_to_one_user_each_over_all_workers() -> None:
    template = Template({"n": "{csv:name}"}, Feeder(ROWS, "unique"))
    given = []
    for worker in range(2):
        own = template.for_worker(worker, 2)
        for user in range(3):
            made = generated(own, 5, client_id=f"{worker}-{user}")
            [name] = {message.body["n"] for message in made}  # type: ignore[call-overload]
            given.append(name)
        with pytest.raises(ConfigError) as caught:
            generated(own)
        assert str(caught.value) == (
            "6 rows are not enough: with unique each user needs its own; 3 of them are this worker's, of 2"
        )
    assert sorted(given) == list("abcdef")


def test_rows_come_from_a_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text('name,mail\nü,"a,b"\n', encoding="utf-8-sig")
    made = generated(Template({"n": "{csv:name}", "m": "{csv:mail}"}, Feeder.from_csv(path)))
    assert made[0].body == {"n": "ü", "m": "a,b"}
    path.write_text("name,mail\na\n")
    with pytest.raises(ConfigError) as caught:
        Feeder.from_csv(path)
    assert str(caught.value) == f"{path}: row 1 has fewer cells than the first line has names"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (
            {"a": {"b": "{uid}"}},
            "a.b: unknown placeholder, expected one of uuid, seq, now, choice, int, user, marker, csv ('{{' is a brace)"
            " (got 'uid'); did you mean 'uuid'?",
        ),
        ({"a": ["{int:5:1}"]}, "a[0]: expected two whole numbers, such as {int:1:10} (got '5:1')"),
        ({"a": "{choice}"}, "a: expected words, such as {choice:a|b}"),
        ({"a": "{now}"}, "a: {now} needs a clock, such as now=time.time"),
        ({"a": "{csv:name}"}, "a: {csv:…} needs a feeder (got 'name')"),
        ({"a": "{seq:3}"}, "a: {seq} takes no arguments (got '3')"),
        ([{"a": "x"}, 7], "[1]: expected a template, an object (got 7)"),
        (
            {"body": {}, "replies": 1},
            "replies: unknown name, expected one of name, body, reply, one_way, channel, weight (got 'replies');"
            " did you mean 'reply'?",
        ),
        (
            {"bdy": {"a": 1}},
            "bdy: unknown name, expected one of name, body, reply, one_way, channel, weight (got 'bdy');"
            " did you mean 'body'?",
        ),
        ([{"body": {}}, {"reply": "pong", "weight": 2}], "[1].body: this key is required: the message"),
        ({"body": 7}, "body: expected an object, a list or a text (got 7)"),
        ({"body": {}, "weight": "x"}, "weight: expected a weight, a number of at least 0 (got 'x')"),
        ([], "expected at least one template with a weight above 0"),
        (7, "expected a template or a list of them (got 7)"),
    ],
)
def test_a_wrong_template_is_refused_when_it_is_made(template: Any, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Template(template)
    assert str(caught.value) == text


@pytest.mark.parametrize("body", [{"bodies": [1]}, {"name": "x", "type": "y"}, {"bod": 5}, {"reply": "x", "type": "y"}])
def test_an_object_without_a_body_is_a_body_unless_that_is_a_slip(body: dict[str, Any]) -> None:
    assert Template(body).bind(random.Random(1), "user").generate().body == body


def test_an_unknown_column_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        Template({"a": "{csv:nam}"}, Feeder(ROWS))
    assert str(caught.value) == "a: unknown name, expected one of name, mail (got 'nam'); did you mean 'name'?"
