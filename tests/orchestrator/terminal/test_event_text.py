import pytest

from orchestrator.core.events import (
    Event,
    MoveReason,
    ReplicaDown,
    ReplicaUp,
    RunInterrupted,
    TraceResumed,
    TraceStopped,
    TraceWarned,
    UserCommand,
    UserCommandReceived,
)
from orchestrator.report.view import RunView
from orchestrator.terminal.event_text import describe_event, describe_trace, event_state, is_logged
from tests.support.story import Story


def moved(reason: MoveReason) -> TraceResumed:
    return TraceResumed(
        at=1.0,
        trace=3,
        endpoint="http://b/v1",
        prompt_tokens=9,
        cached_prompt_tokens=0,
        attempt=1,
        moved=reason,
    )


def lines(view: RunView) -> list[str]:
    return [describe_event(event) for event in view.events if is_logged(event)]


def test_a_run_is_a_list_of_sentences(pruned_story: Story) -> None:
    told = lines(pruned_story.view())
    assert told[0] == "4 traces planned"
    assert "trace 0 opened cluster 0" in told
    assert "trace 1 joined cluster 0, similarity 0.90" in told
    assert "trace 1 pruned at 36 tokens" in told
    assert "trace 2 stopped (straggler) at 30 tokens" in told
    assert "trace 3 failed: reset" in told
    assert "trace 0 resumed" in told
    assert "trace 0 answered 42, 100 tokens" in told
    assert told[-2:] == ["the vote: 42, margin 100%", "the run is over"]


def test_what_a_model_wrote_is_sanitized_in_a_sentence(story: type[Story]) -> None:
    view = story(1).start(0).finish(0, 9, answer="\x1b[31m[red]4\u202e2").view()
    (said,) = (describe_event(event) for event in view.events[-1:])
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "[red]" in said


def test_the_rarer_events_have_sentences(story: type[Story]) -> None:
    told = story(2).start(0, 1).checkpoint(0, 9).judge_failed(0, 1).unjudged(0)
    told.resume(0, attempt=1).finish(0, 20, answer=None).vote(None)
    assert lines(told.view())[1:] == [
        "trace 0 at its checkpoint after 1 reasoning words, 9 tokens",
        "no verdict on trace 0: timeout",
        "trace 0 got no verdict and continues",
        "trace 0 resumed after an error, attempt 2",
        "trace 0 finished without an answer, 20 tokens",
        "the vote gives no answer",
    ]
    assert describe_event(RunInterrupted(at=1.0)) == "you interrupted the run"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            ReplicaDown(at=1.0, endpoint="http://a/v1", reason="http://a/v1 was silent\n"),
            "a is left out: was silent",
        ),
        (ReplicaUp(at=1.0, endpoint="https://gate:80/left/v1"), "gate:80/left is back"),
        (ReplicaUp(at=1.0, endpoint="http://a/v1"), "a is back"),
        (
            TraceWarned(at=1.0, trace=3, warning="wait", message="it is\x1b away"),
            "trace 3: it is␛ away",
        ),
        (
            moved("down"),
            "trace 3 resumed on b (its server is out) after an error, attempt 2",
        ),
        (
            moved("busy"),
            "trace 3 resumed on b (its server is busy) after an error, attempt 2",
        ),
        (
            moved("load"),
            "trace 3 resumed on b (to spread the load) after an error, attempt 2",
        ),
    ],
)
def test_servers_that_go_and_traces_that_move_have_sentences(event: Event, said: str) -> None:
    assert is_logged(event)
    assert describe_event(event).strip() == said


def test_clusters_say_what_decided(story: type[Story]) -> None:
    told = (
        story(3, settings={"policy": {"name": "deepprune", "max_clusters": 1}})
        .start(0, 1, 2)
        .open_cluster(0, 0)
    )
    told._add(type(told.events[-1]), trace=1, cluster=1, similarity=0.25)
    told.join(2, 0, similarity=None)
    assert lines(told.view())[1:] == [
        "trace 0 opened cluster 0",
        "trace 1 opened cluster 1, highest similarity 0.25",
        "trace 2 joined cluster 0, the only one",
    ]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("tau", "you set tau to 0.55"),
        ("pin", "you pinned trace 3: it will not be pruned"),
        ("unpin", "you unpinned trace 3"),
        ("finish", "you let trace 3 finish"),
        ("stop", "you stopped trace 3"),
        ("vote", "you ended the run with a vote"),
        ("hold", "you paused launching: no further trace starts"),
        ("release", "you resumed launching"),
    ],
)
def test_every_command_of_the_user_has_a_sentence(command: UserCommand, said: str) -> None:
    event = UserCommandReceived(at=1.0, command=command, trace=3, tau=0.55)
    assert is_logged(event)
    assert describe_event(event) == said


def test_stopped_and_pruned_have_glyphs_of_their_own(pruned_story: Story) -> None:
    stops = [event for event in pruned_story.events if isinstance(event, TraceStopped)]
    assert [event_state(stop) for stop in stops] == ["pruned", "stopped"]


def test_each_trace_has_its_state_explained(pruned_story: Story) -> None:
    view = pruned_story.view()
    assert [describe_trace(view, view.traces[n]) for n in range(4)] == [
        "Finished with the answer 42.",
        "Pruned: in cluster 0, represented by trace 0, similarity 0.90.",
        "Stopped (straggler) after 30 tokens.",
        "Failed: server: reset",
    ]


def test_unfinished_traces_say_what_they_wait_for(story: type[Story]) -> None:
    told = story(7).start(0, 1, 2, 3, 4, 5).checkpoint(1, 9).checkpoint(2, 9).open_cluster(2, 0)
    told.pause(2, 9).checkpoint(3, 9).pause(3, 9).join(3, 0).checkpoint(4, 9).unjudged(4)
    told.checkpoint(5, 9).pause(5, 9).unjudged(5)
    view = told.view()
    assert [describe_trace(view, view.traces[n]) for n in range(7)] == [
        "Running.",
        "At its checkpoint, waiting for the judge.",
        "Paused until the clusters are known; it represents cluster 0.",
        "Paused until the clusters are known; in cluster 0, represented by trace 2, similarity 0.90.",
        "Running to its end.",
        "Paused until the clusters are known; it has no cluster.",
        "Waiting for a free stream.",
    ]


def test_a_pruned_trace_without_a_twin_says_so(story: type[Story]) -> None:
    told = story(2).start(0, 1).open_cluster(0, 0).stop(0, 9).stop(1, 9)
    view = told.view()
    assert (
        describe_trace(view, view.traces[0])
        == "Pruned: it represents cluster 0, and another cluster is larger."
    )
    assert (
        describe_trace(view, view.traces[1])
        == "Pruned: no cluster was similar, and no further cluster was allowed."
    )


def test_a_finished_trace_tells_its_own_spelling_and_its_cut(story: type[Story]) -> None:
    told = story(2).start(0, 1).finish(0, 9, answer=None)
    event = type(told.events[-1])
    told._add(event, trace=1, answer="1/2", raw_answer="0.5", finish_reason="length", tokens=9)
    view = told.view()
    assert describe_trace(view, view.traces[0]) == "Finished without an answer."
    assert (
        describe_trace(view, view.traces[1])
        == "Finished with the answer 1/2, written 0.5. It was cut off at its token limit."
    )
