"""What must hold after a run, whatever broke during it; each function returns sentences about what does not."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from orchestrator.client.reasoner.forced_answer import MAX_TOKENS
from orchestrator.core.commands import Command, ProbeTrace, ResumeTrace, StartTrace
from orchestrator.core.events import (
    ClusterOpened,
    Event,
    ProbeFailed,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TraceJoined,
    TracePaused,
    TraceProbed,
    TraceStopped,
)
from orchestrator.journal.journal import read_journal
from orchestrator.journal.replay import replay
from orchestrator.journal.run_dir import REPORT_FILE
from orchestrator.report.report import Report, read_report
from tests.faults.servers import FORCED_TOKENS, SPAN, CountingServers

__all__ = ["of_any_server", "under_way_on_vllm", "unexplained", "violations"]

_PERCENT = 1
"""Of what a server wrote in a run that may be neither on the bill nor known to have been lost."""

_DROPPED = 4
"""Tokens of one stream that vLLM has counted and drops when the stream is half-closed."""


def violations(
    run_dir: Path, servers: CountingServers, *, lost: int, in_flight: int = 0
) -> list[str]:
    """All that does not hold.

    Args:
        run_dir: of the run, after its end.
        servers: that wrote its tokens, and no others.
        lost: tokens that were not passed on by a proxy.
        in_flight: tokens that were not in the journal when the program was killed.
    """
    entries = list(read_journal(run_dir))
    report = read_report(run_dir / REPORT_FILE)
    if report is None:
        return ["there is no report"]
    return [
        *of_any_server(run_dir, report),
        *_texts(entries),
        *_prunes(entries, servers),
        *_bill(report, entries, servers, lost=lost, in_flight=in_flight),
    ]


def of_any_server(run_dir: Path, report: Report) -> list[str]:
    """What does not hold of the report and the journal alone."""
    return [*_counts(report), *_replays(run_dir)]


def _counts(report: Report) -> Iterator[str]:
    traces = report.traces
    ended = traces.finished + traces.pruned + traces.stopped + traces.failed
    if traces.started != ended:
        yield f"{traces.started} traces started and {ended} ended"


def _replays(run_dir: Path) -> Iterator[str]:
    again = replay(run_dir)
    if again.difference is not None:
        yield f"the replay differs: {again.difference}"
    recorded = read_report(run_dir / REPORT_FILE)
    if recorded is not None and again.report.ledger != recorded.ledger:
        yield "the replay has another bill"


def _texts(entries: Sequence[Event | Command]) -> Iterator[str]:
    """Each trace is one text of the server: no token is missing in it, and none is there twice.

    A regeneration is the rest of another trace's text.
    """
    found, regenerations = _ids(entries), _regenerations(entries)
    for trace, ids in found.items():
        first = ids[0]
        if ids != list(range(first, first + len(ids))):
            yield f"the tokens of trace {trace} are not consecutive"
        command = regenerations.get(trace)
        expected = first % SPAN if command is None else 0
        if command is not None and command.of is not None:
            expected = first - found[command.of][command.prefix_tokens - 1] - 1
        if expected:
            yield f"trace {trace} does not begin where it should"


def _prunes(entries: Sequence[Event | Command], servers: CountingServers) -> Iterator[str]:
    """A trace joins a cluster only if it ends in the answer of the cluster's first trace."""
    ids = _ids(entries)
    opened = {entry.cluster: entry.trace for entry in entries if isinstance(entry, ClusterOpened)}
    joined = {entry.trace: entry.cluster for entry in entries if isinstance(entry, TraceJoined)}
    for entry in entries:
        if isinstance(entry, TraceStopped) and entry.trace in joined and entry.trace in ids:
            first = opened[joined[entry.trace]]
            if servers.answer_of(ids[entry.trace][0]) != servers.answer_of(ids[first][0]):
                yield f"trace {entry.trace} was pruned for trace {first}, which has another answer"


def _bill(
    report: Report,
    entries: Sequence[Event | Command],
    servers: CountingServers,
    *,
    lost: int,
    in_flight: int,
) -> Iterator[str]:
    """The bill has what the server wrote, but for what nobody received; no token of a trace was written again."""
    unseen = servers.generated - report.ledger.reasoner.generated_tokens
    known = lost + in_flight
    under_way = _unanswered(entries) * FORCED_TOKENS
    yield from unexplained(servers.generated, unseen, known, under_way=under_way)
    again = servers.written.total() - len(servers.written)
    discarded = sum(entry.discarded for entry in entries if isinstance(entry, TokensArrived))
    ids = _ids(entries)
    regenerated = sum(len(ids.get(trace, ())) for trace in _regenerations(entries))
    if again > max(0, unseen) + discarded + regenerated:
        yield (
            f"{again} tokens were written twice; {unseen} were lost, "
            f"and {discarded} came behind something that could not be read"
        )


def unexplained(written: int, unseen: int, known: int, *, under_way: int) -> Iterator[str]:
    """The bill and the tokens that are known to be lost make up what the servers wrote, within one in a hundred.

    Args:
        written: tokens of the run, by the servers' own count.
        unseen: those of them that are not on the bill.
        known: those that were lost on their way, or were not in the journal when the program was killed.
        under_way: the most that the client cannot have seen, because it ended a request itself.
    """
    if unseen < 0:
        yield f"the bill has {-unseen} tokens that no server wrote"
    allowed = written * _PERCENT / 100
    if not -allowed <= unseen - known <= allowed + under_way:
        yield f"the servers wrote {written} tokens; the bill lacks {unseen}, of which {known} are known to be lost"


def under_way_on_vllm(entries: Iterable[Event | Command]) -> int:
    """The most that vLLM may have written and dropped where the client ended a request.

    A stream that is half-closed: what its API process had counted and not yet sent; a trace that is stopped while it is
    paused has none. A probe that was under way at the end of the run: all of its tokens.
    """
    entries = list(entries)
    streams: set[int] = set()
    closed = 0
    for entry in entries:
        match entry:
            case StartTrace() | ResumeTrace():
                streams.add(entry.trace)
            case TracePaused() | TraceStopped():
                closed += entry.trace in streams
                streams.discard(entry.trace)
            case TraceFinished() | TraceFailed():
                streams.discard(entry.trace)
            case _:
                pass
    return closed * _DROPPED + _unanswered(entries) * MAX_TOKENS


def _unanswered(entries: Iterable[Event | Command]) -> int:
    """The probes in a journal that have neither an answer nor a failure."""
    asked = Counter(type(entry) for entry in entries)
    return asked[ProbeTrace] - asked[TraceProbed] - asked[ProbeFailed]


def _ids(entries: Sequence[Event | Command]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in entries:
        if isinstance(entry, TokensArrived) and entry.token_ids:
            found.setdefault(entry.trace, []).extend(entry.token_ids)
    return found


def _regenerations(entries: Sequence[Event | Command]) -> dict[int, StartTrace]:
    """The commands that have text written again on purpose, by the trace that it became."""
    return {
        entry.trace: entry
        for entry in entries
        if isinstance(entry, StartTrace) and entry.of is not None
    }
