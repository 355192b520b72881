from orchestrator.core.commands import Command
from orchestrator.core.events import Event
from orchestrator.report.view import RunView
from tui.sources.player import SPEEDS, Player


def folded(entries: list[Event | Command], moment: float) -> RunView:
    view = RunView()
    for entry in entries:
        if getattr(entry, "at", 0.0) > moment:
            break
        view.apply(entry)
    return view


def same(one: RunView, other: RunView) -> None:
    assert (one.changes, one.generated_tokens, one.elapsed) == (
        other.changes,
        other.generated_tokens,
        other.elapsed,
    )
    assert one.counts() == other.counts()
    assert {n: c.members for n, c in one.clusters.items()} == {
        n: c.members for n, c in other.clusters.items()
    }


def test_every_moment_is_the_fold_of_what_came_before(demo_entries: list[Event | Command]) -> None:
    player = Player(demo_entries)
    for moment in (2.0, 4.5, 1.0, 5.8, 0.0, 100.0):
        player.seek(moment)
        same(player.watch.view, folded(demo_entries, moment))


def test_time_passes_at_the_speed_chosen_and_stops_at_the_end(
    demo_entries: list[Event | Command],
) -> None:
    player = Player(demo_entries)
    player.change_speed(1)
    player.advance(0.5)
    assert player.now == 1.0
    player.toggle()
    player.advance(0.5)
    assert player.now == 1.0
    player.toggle()
    player.advance(60)
    assert (player.now, player.playing, player.fraction) == (player.length, False, 1.0)


def test_playing_again_at_the_end_starts_over(demo_entries: list[Event | Command]) -> None:
    player = Player(demo_entries)
    player.seek(1e9)
    player.playing = False
    player.toggle()
    assert (player.now, player.playing) == (0.0, True)


def test_speeds_have_ends(demo_entries: list[Event | Command]) -> None:
    player = Player(demo_entries)
    for _ in range(20):
        player.change_speed(1)
    assert player.speed == SPEEDS[-1]
    for _ in range(20):
        player.change_speed(-1)
    assert player.speed == SPEEDS[0]


def test_steps_go_from_event_to_event(demo_entries: list[Event | Command]) -> None:
    player = Player(demo_entries)
    player.seek(1.0)
    player.step(1)
    after = player.now
    assert 1.0 < after < 1.1
    player.step(1)
    player.step(-1)
    assert player.now == after
    assert not player.playing
    player.seek(0.0)
    player.step(-1)
    assert player.now == 0.0
    player.seek(player.length)
    player.step(1)
    assert player.now == player.length


def test_an_empty_journal_is_at_its_end() -> None:
    assert Player([]).fraction == 1.0
