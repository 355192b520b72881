from pathlib import Path

import pytest

from orchestrator.config.load import load_settings
from orchestrator.config.presets import suitable_preset
from orchestrator.config.shipped import preset_names
from orchestrator.errors import ConfigError
from orchestrator.settings import ModelSettings, Settings


def loaded(preset: str, *assignments: str, file: Path | None = None) -> Settings:
    return load_settings(file=file, environ={}, assignments=assignments, flags={}, preset=preset)


@pytest.mark.parametrize("name", preset_names())
def test_every_shipped_preset_names_its_family_and_how_an_answer_is_forced(name: str) -> None:
    model = loaded(name).model
    assert model.family == name
    assert model.names
    ending = model.forced_ending("<think>\nSo far 5.")
    assert ending is not None
    if name == "nano":  # knows no sentence but its own, which it writes behind its thinking
        assert ending == "\n</think>\n"
    else:
        assert ending.rstrip("{").endswith("\\boxed")


@pytest.mark.parametrize(
    ("model", "preset"),
    [
        ("Qwen/Qwen3-8B", "qwen3"),
        ("Qwen/Qwen3-235B-A22B-FP8", "qwen3"),
        ("Qwen/Qwen3-4B-Thinking-2507", "qwen3-thinking"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen3-instruct"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", "deepseek-r1"),
        ("/models/deepseek-r1-0528", "deepseek-r1"),
        ("Qwen/QwQ-32B-AWQ", "qwq"),
        ("zai-org/GLM-4.6", "glm"),
        ("zai-org/GLM-Z1-9B-0414", "glm-z1"),
        ("meta-llama/Llama-3.1-8B-Instruct", "instruct"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "instruct"),
        ("google/gemma-3-270m-it", "instruct"),
        ("openai/gpt-oss-20b", "gpt-oss"),
        ("nvidia/Llama-3.1-Nemotron-Nano-8B-v1", "llama-nemotron"),
        ("nano-reasoner", "nano"),
        ("/home/me/nano/weights/reasoner", "nano"),
        ("gpt-9", None),
        ("m", None),
    ],
)
def test_a_preset_is_found_by_the_models_name(model: str, preset: str | None) -> None:
    assert suitable_preset(model) == preset


def test_a_preset_lies_below_the_users_file_and_settings(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("sampling: {top_p: 0.9}\n", encoding="utf-8")
    sampling = loaded("qwen3", "sampling.top_k=5", file=mine).sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.6, 0.9, 5)


def test_a_preset_may_be_a_file_of_ones_own(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("model: {family: mine, force_answer: 'So: '}\n", encoding="utf-8")
    assert loaded(str(mine)).model.forced_ending("text") == "So: "


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no preset 'gpt-9'; choose one of deepseek-r1, .*qwen3"):
        loaded("gpt-9")


# --- forced endings -------------------------------------------------------------------------------

THINKS_ITSELF = ModelSettings(
    thinking_open="<think>", thinking_close="\n</think>\n\n", force_answer="\n\n\\boxed{"
)
THINKS_ALWAYS = THINKS_ITSELF.model_copy(update={"thinking_open": None})


@pytest.mark.parametrize(
    ("model", "text", "ending"),
    [
        (THINKS_ITSELF, "<think>\nHmm", "\n</think>\n\n\\boxed{"),
        (THINKS_ITSELF, "<think>\nHmm\n</think>\nSo", "\n\n\\boxed{"),
        (THINKS_ITSELF, "It never thought", "\n\n\\boxed{"),
        (THINKS_ALWAYS, "Hmm", "\n</think>\n\n\\boxed{"),
        (THINKS_ALWAYS, "", "\n</think>\n\n\\boxed{"),
        (THINKS_ALWAYS, "Hmm</think>So", "\n\n\\boxed{"),
        (ModelSettings(force_answer="Answer: "), "So", "Answer: "),
        (ModelSettings(thinking_close="</think>"), "So", None),
        (ModelSettings(), "So", None),
    ],
)
def test_a_forced_ending_closes_the_thinking_only_where_it_is_open(
    model: ModelSettings, text: str, ending: str | None
) -> None:
    assert model.forced_ending(text) == ending


@pytest.mark.parametrize(
    ("model", "text", "behind"),
    [
        (THINKS_ITSELF, "<think>\nHmm", ""),
        (THINKS_ITSELF, "<think>\nHmm\n</think>\n\nIt is \\boxed{2", "\n\nIt is \\boxed{2"),
        (ModelSettings(), "It is 2", ""),
    ],
)
def test_what_stands_behind_the_thinking(model: ModelSettings, text: str, behind: str) -> None:
    assert model.behind_thinking(text) == behind


def test_gpt_oss_keeps_the_marks_of_its_channels_and_closes_the_first_one() -> None:
    settings = loaded("gpt-oss")
    assert settings.sampling.extra == {"skip_special_tokens": False}
    thinking = "<|channel|>analysis<|message|>So 5."
    final = "<|end|><|start|>assistant<|channel|>final<|message|>"
    assert (settings.model.forced_ending(thinking) or "").startswith(final + "**Final")
    assert (settings.model.forced_ending(thinking + final + "It is") or "").startswith("**Final")


def test_nemotron_is_told_to_think_unless_the_user_says_otherwise() -> None:
    assert loaded("llama-nemotron").prompt.system == "detailed thinking on"
    assert loaded("llama-nemotron", "prompt.system=").prompt.system in (None, "")
