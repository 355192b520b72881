"""Pairs as token ids: many members behind one new trace, as the server's prefix cache would share it.

The rule: each pair has in its pack the token ids, the positions and the context that it would have alone (query +
item, tokenised separately as in `orchestrator.core.judging`), so packing changes the cost of a score and never the
score. A pair that shares its query with no other is a pack with one item.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from random import Random
from typing import Any

import torch
from torch import Tensor

from judge_server.data.pairs import Pair
from orchestrator.core.judging import JudgeSpec, pair_prompt
from orchestrator.errors import ConfigError

__all__ = [
    "IGNORED",
    "Batch",
    "Encode",
    "Pack",
    "check_length",
    "collate",
    "make_batches",
    "make_packs",
]

Encode = Callable[[str], list[int]]
IGNORED = -100
QUERY, PADDING = 0, -1
"""Owners of tokens that are in no item; the items are numbered from 1."""


@dataclass(frozen=True, slots=True)
class Pack:
    """One query and the items compared with it; `pairs` are (number of the pair, place of its item).

    A pair that is shown twice is computed once and counted twice.
    """

    query: list[int]
    items: list[list[int]]
    pairs: list[tuple[int, int]]

    @property
    def tokens(self) -> int:
        """Length of the pack."""
        return len(self.query) + sum(len(item) for item in self.items)


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded packs as tensors.

    ids and positions: (packs, seq). is_token: (packs, seq), False at padding. mask: (packs, 1, seq, seq), True
    where a token may attend, or None where it may attend to all earlier tokens of the row. rows and ends:
    (pairs,), the place of each pair's last token. pairs: (pairs,), the pairs' numbers. next_ids: (packs, seq),
    the token that follows within an item, or IGNORED.
    """

    ids: Tensor
    positions: Tensor
    is_token: Tensor
    mask: Tensor | None
    rows: Tensor
    ends: Tensor
    pairs: Tensor
    next_ids: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""

        def moved(value: Any) -> Any:
            return None if value is None else value.to(device)

        return Batch(**{field.name: moved(getattr(self, field.name)) for field in fields(self)})


def check_length(pair: Pair | None, tokens: int, context: int) -> None:
    """Raises ConfigError for a pair, or a segment that is read alone, that does not fit into the judge's context."""
    if tokens > context:
        what = "A segment" if pair is None else f"A pair of question {pair.question_id}"
        raise ConfigError(
            f"{what} takes {tokens:,} tokens, and this judge reads at most "
            f"{context:,}; lower max_segment_chars in the judge's YAML."
        )


def make_packs(
    pairs: Sequence[Pair],
    spec: JudgeSpec,
    encode: Encode,
    *,
    context: int,
    longest: int | None = None,
    leave_out_long: bool = False,
) -> list[Pack]:
    """The pairs grouped by what the judge reads first, in packs of at most `longest` tokens or one item.

    With `longest` None each pair is a pack of its own. A pair longer than `context` raises ConfigError, or is in no
    pack with `leave_out_long`.
    """
    encoded: dict[str, list[int]] = {}

    def ids_of(text: str) -> list[int]:
        if text not in encoded:
            encoded[text] = encode(text)
        return encoded[text]

    open_packs: dict[str, Pack] = {}
    packs: list[Pack] = []
    for number, pair in enumerate(pairs):
        prompt = pair_prompt(spec, question=pair.question, new=pair.new, member=pair.member)
        query, item = ids_of(prompt.query), ids_of(prompt.item)
        if leave_out_long and len(query) + len(item) > context:
            continue
        check_length(pair, len(query) + len(item), context)
        if longest is None:
            packs.append(Pack(query, [item], [(number, 0)]))
            continue
        pack = open_packs.get(prompt.query)
        is_there = pack is not None and item in pack.items
        if pack is None or (not is_there and pack.tokens + len(item) > min(longest, context)):
            pack = open_packs[prompt.query] = Pack(query, [], [])
            packs.append(pack)
        if not is_there:
            pack.items.append(item)
        pack.pairs.append((number, pack.items.index(item)))
    return packs


def make_batches(
    packs: Sequence[Pack],
    *,
    tokens: int,
    pairs: int | None = None,
    rng: Random | None = None,
    group: Callable[[Pack], int] | None = None,
) -> list[list[Pack]]:
    """Batches of at most `tokens` padded tokens and `pairs` pairs (or one pack), of like length.

    They are shuffled if `rng` is given. Packs of one `group` stay side by side, of any length.
    """
    jitter = rng.random if rng else (lambda: 0.0)
    place = (
        {number: jitter() for number in sorted({group(pack) for pack in packs})} if group else {}
    )
    keys = [
        (place[group(pack)] if group else 0.0, pack.tokens * (1.0 + 0.2 * jitter()))
        for pack in packs
    ]
    batches: list[list[Pack]] = []
    longest = shown = 0
    for number in sorted(range(len(packs)), key=keys.__getitem__):
        pack = packs[number]
        longest, shown = max(longest, pack.tokens), shown + len(pack.pairs)
        is_full = bool(batches) and (
            longest * (len(batches[-1]) + 1) > tokens or (pairs is not None and shown > pairs)
        )
        if is_full or not batches:
            batches.append([])
            longest, shown = pack.tokens, len(pack.pairs)
        batches[-1].append(pack)
    if rng:
        rng.shuffle(batches)
    return batches


def collate(packs: Sequence[Pack], *, padding_id: int) -> Batch:
    """The packs as one padded batch."""
    length = max(pack.tokens for pack in packs)
    ids = torch.full((len(packs), length), padding_id)  # (packs, seq)
    positions = torch.arange(length).repeat(len(packs), 1)  # (packs, seq)
    owner = torch.full((len(packs), length), PADDING)  # (packs, seq)
    next_ids = torch.full((len(packs), length), IGNORED)  # (packs, seq)
    rows: list[int] = []
    ends: list[int] = []
    numbers: list[int] = []
    for row, pack in enumerate(packs):
        item_ends = []
        for start, tokens, first_position, who in _parts(pack):
            end = start + len(tokens)
            ids[row, start:end] = torch.tensor(tokens)
            positions[row, start:end] = torch.arange(first_position, first_position + len(tokens))
            owner[row, start:end] = who
            if who != QUERY:
                item_ends.append(end - 1)
                next_ids[row, start : end - 1] = ids[row, start + 1 : end]
        rows += [row] * len(pack.pairs)
        ends += [item_ends[place] for _, place in pack.pairs]
        numbers += [number for number, _ in pack.pairs]
    is_packed = any(len(pack.items) > 1 for pack in packs)
    return Batch(
        ids=ids,
        positions=positions,
        is_token=owner != PADDING,
        mask=_mask(owner) if is_packed else None,
        rows=torch.tensor(rows),
        ends=torch.tensor(ends),
        pairs=torch.tensor(numbers),
        next_ids=next_ids,
    )


def _mask(owner: Tensor) -> Tensor:
    """Which token may attend to which, (packs, 1, seq, seq), from the tokens' owners, (packs, seq)."""
    length = owner.shape[1]
    is_past = torch.ones((length, length), dtype=torch.bool).tril()  # (seq, seq)
    is_own = owner[:, :, None] == owner[:, None, :]  # (packs, seq, seq)
    is_shared = (owner == QUERY)[:, None, :]  # (packs, 1, seq)
    return (is_past & (is_own | is_shared))[:, None]


def _parts(pack: Pack) -> Iterable[tuple[int, list[int], int, int]]:
    """(place in the pack, token ids, first position, owner) of the query and of each item."""
    yield 0, pack.query, 0, QUERY
    start = len(pack.query)
    for who, item in enumerate(pack.items, start=1):
        yield start, item, len(pack.query), who
        start += len(item)
