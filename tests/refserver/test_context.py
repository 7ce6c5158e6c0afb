"""The context server's HTTP side, row by row of the contract."""

from __future__ import annotations

import uuid
from datetime import datetime
from pathlib import Path

import pytest

from tests.refserver.conftest import Server


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex


def test_a_value_set_is_read_back_and_who_defaults_to_api_client(server: Server, key: str) -> None:
    answer = server.post("/ctx", {"key": key, "value": {"a": [1, None]}})
    assert answer.status_code == 200
    body = answer.json()
    datetime.fromisoformat(body.pop("timestamp"))
    assert body == {"status": "success", "key": key, "value": {"a": [1, None]}, "who": "api_client"}
    read = server.get("/ctx", params={"key": key}).json()
    datetime.fromisoformat(read.pop("timestamp"))
    assert read == {"status": "success", "key": key, "value": {"a": [1, None]}}


def test_an_unknown_key_is_200_with_null_and_no_key_is_400(server: Server, key: str) -> None:
    unknown = server.get("/ctx", params={"key": key})
    assert (unknown.status_code, unknown.json()["value"]) == (200, None)
    assert server.get("/ctx").status_code == 400


@pytest.mark.parametrize("body", [{"value": 1}, {"key": "k"}, {"key": "k", "value": None}, {"key": "", "value": 1}])
def test_a_set_without_key_or_value_is_400(server: Server, body: object) -> None:
    assert server.post("/ctx", body).status_code == 400


def test_what_is_not_json_is_a_400_of_the_framework_and_thus_a_page(server: Server) -> None:
    answer = server.http.post(server.url + "/ctx", data=b"{nope", headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "<h1>Bad Request</h1>" in answer.text


def test_all_tells_the_context_the_history_count_and_the_clients(server: Server, key: str) -> None:
    server.post("/ctx", {"key": key, "value": 7})
    with server.live():
        body = server.get("/ctx/all").json()
    assert body["context"][key] == 7
    assert body["connected_clients"] == 1
    assert body["history_count"] == server.get("/ctx/history").json()["total_entries"]
    assert body["status"] == "success"


def test_history_is_filtered_and_a_set_that_changes_nothing_adds_no_entry(server: Server, key: str) -> None:
    for value, who in ((1, "a"), (1, "b"), (2, "b"), (True, "a"), (1, "a")):
        server.post("/ctx", {"key": key, "value": value, "who": who})
    body = server.get("/ctx/history", params={"key": key}).json()
    assert [(e["before"], e["after"], e["who"]) for e in body["history"]] == [
        (None, 1, "a"),
        (1, 2, "b"),
        (2, True, "a"),
        (True, 1, "a"),
    ]
    assert body["filtered_entries"] == 4
    assert body["total_entries"] >= 4
    by_author = server.get("/ctx/history", params={"key": key, "who": "b"}).json()
    assert [e["after"] for e in by_author["history"]] == [2]


@pytest.mark.parametrize(
    ("format", "content_type"),
    [("json", "application/json"), ("pretty", "application/json"), ("csv", "text/csv"), ("txt", "text/plain")],
)
def test_a_dump_is_written_listed_and_served(server: Server, key: str, format: str, content_type: str) -> None:
    server.post("/ctx", {"key": key, "value": "välue"})
    made = server.post("/ctx/dump", {"format": format, "filename": key, "who": "me", "include_history": True}).json()
    assert made["filename"] == f"{key}.{format}"
    assert (made["status"], made["format"], made["who"]) == ("success", format, "me")
    assert made["key_count"] == len(server.get("/ctx/all").json()["context"])
    path = Path(made["path"])
    assert path.stat().st_size == made["file_size"]
    served = server.get(f"/ctx/dump/{made['filename']}")
    assert served.headers["Content-Type"].split(";")[0] == content_type
    assert served.content == path.read_bytes()
    assert key.encode() in served.content
    listed = server.get("/ctx/dump/list").json()
    (entry,) = [f for f in listed["dump_files"] if f["filename"] == made["filename"]]
    assert (entry["size"], entry["path"]) == (made["file_size"], made["path"])
    assert listed["dump_count"] == len(listed["dump_files"])
    assert listed["dump_directory"] == str(path.parent)
    assert listed["dump_history"][-1]["filename"] == made["filename"]
    assert len(listed["dump_history"]) <= 10


def test_a_dump_takes_its_parameters_from_the_query_as_well(server: Server, key: str) -> None:
    made = server.http.post(server.url + "/ctx/dump", params={"format": "txt", "filename": key}).json()
    assert made["filename"] == f"{key}.txt"


def test_dumps_of_one_second_without_a_name_overwrite_each_other(server: Server) -> None:
    names = {server.post("/ctx/dump", {"format": "json"}).json()["filename"] for _ in range(20)}
    assert 1 <= len(names) <= 3


def test_another_format_is_400_and_an_unknown_file_404(server: Server) -> None:
    assert server.post("/ctx/dump", {"format": "xml"}).status_code == 400
    missing = server.get("/ctx/dump/nothing.json")
    assert (missing.status_code, missing.json()["status"]) == (404, "error")


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", "..", "a\0b", "/etc/passwd", "x" * 300, "a\nb"])
def test_a_name_that_could_leave_the_folder_is_400_and_writes_nothing(server: Server, name: str) -> None:
    before = server.get("/ctx/dump/list").json()["dump_count"]
    assert server.post("/ctx/dump", {"format": "json", "filename": name}).status_code == 400
    assert server.get("/ctx/dump/list").json()["dump_count"] == before


@pytest.mark.parametrize("path", ["..%2f..%2fetc%2fpasswd", "a%2fb.json", "a/b.json", "%2e%2e%5cx", "a%00b"])
def test_a_path_that_could_leave_the_folder_is_400(server: Server, path: str) -> None:
    assert server.get("/ctx/dump/" + path).status_code == 400


def test_a_link_in_the_dump_folder_is_not_followed(start: type[Server], tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    folder = tmp_path / "dumps"
    folder.mkdir()
    (folder / "link.txt").symlink_to(secret)
    server = start("--dump-dir", str(folder))
    assert server.get("/ctx/dump/link.txt").status_code == 404
    assert server.post("/ctx/dump", {"format": "txt", "filename": "link"}).status_code == 200
    assert secret.read_text() == "secret"
