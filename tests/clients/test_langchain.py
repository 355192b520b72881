"""LangChain's `ChatOpenAI`."""

import re

from langchain_openai import ChatOpenAI

from tests.clients.serving import KEY, MODEL, QUESTIONS, Server


def chat(server: Server) -> ChatOpenAI:
    return ChatOpenAI(model=MODEL, base_url=server.url, api_key=KEY, max_retries=0)


def answer(text: str) -> str:
    found = re.findall(r"\\boxed\{([^}]*)\}", text)
    return found[-1] if found else ""


def test_a_batch_of_questions_scores_as_the_server_says(server: Server) -> None:
    before = server.kept()
    replies = chat(server).batch([each["question"] for each in QUESTIONS])
    right = [
        answer(str(reply.content)) == each["answer"]
        for reply, each in zip(replies, QUESTIONS, strict=True)
    ]
    assert sum(right) / len(right) == server.score(before) > 0
    assert all(reply.usage_metadata["output_tokens"] > 100 for reply in replies)


def test_a_streamed_reply_is_the_answer_with_its_usage(server: Server) -> None:
    chunks = list(chat(server).stream(QUESTIONS[0]["question"], stream_usage=True, temperature=0.9))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert answer(str(whole.content)) or "No answer" in str(whole.content)
    assert whole.usage_metadata["output_tokens"] > 100
