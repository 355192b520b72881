"""Recordings by the names that tell them apart."""

from bench.results.file_names import short_names


def test_a_recording_is_shown_by_its_own_name() -> None:
    assert short_names(["/data/x/aime24.json", "math.jsonl"]) == {
        "/data/x/aime24.json": "aime24.json",
        "math.jsonl": "math.jsonl",
    }


def test_equal_names_have_the_folders_that_tell_them_apart() -> None:
    assert short_names(["/a/x/t.json", "/b/x/t.json", "/b/y/t.json", "t.json"]) == {
        "/a/x/t.json": "a/x/t.json",
        "/b/x/t.json": "b/x/t.json",
        "/b/y/t.json": "y/t.json",
        "t.json": "t.json",
    }


def test_names_without_a_path_stay_as_they_are() -> None:
    assert short_names(["live", ""]) == {"live": "live", "": ""}
