"""`polr`: prefixes are clustered without a judge, and the traces of the largest cluster are finished (arXiv 2601.21494).

All traces run to their checkpoint and wait there. Their prefixes, as tf-idf vectors of words, are clustered bottom-up with
average cosine distance; the number of clusters is the one with the best mean silhouette, 1 if none separates them. The
traces of the largest cluster run on to their end and vote. A trace that ends before its checkpoint takes part
with its whole text. The abstract leaves vectors, linkage and the number of clusters open; this is how they are read here.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.data.recorded import RecordedTrace
from bench.replay.player import ReplayResult
from bench.replay.prefixes import Prefix
from bench.replay.server import ServerModel
from orchestrator.core.voting import majority

__all__ = ["largest_cluster", "play_polr"]

_MOST_CLUSTERS = 8


def play_polr(
    traces: Sequence[RecordedTrace], prefixes: Sequence[Prefix | None], server: ServerModel
) -> ReplayResult:
    """One run over `traces`, all started at once; `prefixes` has None for a trace that ends before its checkpoint."""
    written = [
        trace.tokens if prefix is None else prefix.tokens
        for trace, prefix in zip(traces, prefixes, strict=True)
    ]
    texts = [
        (trace.text or "") if prefix is None else prefix.text
        for trace, prefix in zip(traces, prefixes, strict=True)
    ]
    kept = largest_cluster(texts)
    finished = sorted(kept, key=lambda number: traces[number].tokens)
    answers = tuple(traces[number].answer for number in finished)
    tokens = [
        trace.tokens if number in kept else written[number] for number, trace in enumerate(traces)
    ]
    to_checkpoint = max(written)
    steps = to_checkpoint + max(traces[n].tokens - written[n] for n in kept)
    ended = [n for n in range(len(traces)) if n in kept or prefixes[n] is None]
    lengths = {
        "finished": tuple(traces[n].tokens for n in ended),
        "pruned": tuple(written[n] for n in range(len(traces)) if n not in ended),
    }
    return ReplayResult(
        answer=majority(answers, min_ballots=1, at=0.0).answer,
        tokens=sum(tokens),
        sequential_tokens=float(steps),
        judge_tokens=0,
        seconds=to_checkpoint * server.step(len(traces))
        + (steps - to_checkpoint) * server.step(len(kept)),
        started=len(traces),
        finished=answers,
        finished_tokens=sum(lengths["finished"]),
        lengths={fate: each for fate, each in lengths.items() if each},
    )


def largest_cluster(texts: Sequence[str]) -> set[int]:
    """The numbers of the texts in the largest cluster, the one with the first text of equal ones."""
    labels = _labels(texts)
    sizes = np.bincount(labels)
    largest = next(label for label in labels if sizes[label] == sizes.max())
    return {number for number, label in enumerate(labels) if label == largest}


def _labels(texts: Sequence[str]) -> NDArray[np.int64]:
    """The cluster of every text."""
    alone = np.zeros(len(texts), dtype=np.int64)
    if len(set(texts)) < 3 or not any(text.strip() for text in texts):
        return alone
    # slow to import, and no other policy needs them
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics import pairwise_distances, silhouette_score

    vectors = TfidfVectorizer(analyzer=str.split).fit_transform(texts)
    distances = np.clip(pairwise_distances(vectors, metric="cosine"), 0.0, None)
    np.fill_diagonal(distances, 0.0)
    best, labels = 0.0, alone
    for clusters in range(2, min(_MOST_CLUSTERS, len(set(texts)) - 1) + 1):
        found = AgglomerativeClustering(
            n_clusters=clusters, metric="precomputed", linkage="average"
        ).fit_predict(distances)
        score = silhouette_score(distances, found, metric="precomputed")
        if score > best:
            best, labels = score, found
    return labels
