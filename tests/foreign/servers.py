"""The foreign servers, and what is in front of them; each block serves one model under one address."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from orchestrator.local_vllm.server import LocalModel, nano_model, run_vllm
from tests.foreign.environments import installed, python_of
from tests.foreign.processes import free_port, running

__all__ = ["ENGINE_KEY", "Served", "litellm", "llama_cpp", "nginx", "transformers", "vllm"]

ENGINE_KEY = "sk-foreign-engine"
_LORA_RANK = 8


@dataclass(frozen=True, kw_only=True)
class Served:
    """One address of a server.

    Attributes:
        url: the base address with /v1.
        model: the name that is asked for.
        pid: the process that generates.
        key: what the server wants as a key.
        engine: the address whose /metrics has the counters; None where the server has none.
        is_gateway: the counters are not at `url`.
        counts_closed: the counters have the tokens of closed streams.
    """

    url: str
    model: str
    pid: int
    key: str | None = None
    engine: str | None = None
    is_gateway: bool = False
    counts_closed: bool = True


@contextlib.asynccontextmanager
async def vllm(folder: Path) -> AsyncIterator[Served]:
    """vLLM with a key, a root path, two names for the model, and two LoRA adapters ("lora-a", "lora-b")."""
    adapters = [f"{name}={_adapter(folder / name)}" for name in ("lora-a", "lora-b")]
    model = LocalModel(
        nano_model("reasoner"),
        "nano",
        max_model_len=1280,
        max_num_seqs=64,
        kv_cache_gib=1,
        api_key=ENGINE_KEY,
        flags=(
            *("--served-model-name", "nano", "nano-too"),
            *("--root-path", "/engine"),
            *("--enable-lora", "--max-lora-rank", str(_LORA_RANK)),
            *("--lora-modules", *adapters),
        ),
    )
    async with run_vllm(model, log=folder / "vllm.log", start_seconds=900) as server:
        yield Served(
            url=server.url,
            model="nano",
            pid=server.process.pid,
            key=ENGINE_KEY,
            engine=server.url.removesuffix("/v1"),
        )


def _adapter(folder: Path) -> Path:
    """A LoRA adapter that changes nothing: its second matrix is zero."""
    folder.mkdir()
    config = json.loads((nano_model("reasoner") / "config.json").read_text())
    hidden, heads, width = (
        config["hidden_size"],
        config["num_attention_heads"],
        config["head_dim"],
    )
    tensors = {}
    for layer in range(config["num_hidden_layers"]):
        name = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        tensors[f"{name}.lora_A.weight"] = np.zeros((_LORA_RANK, hidden), np.float32)
        tensors[f"{name}.lora_B.weight"] = np.zeros((heads * width, _LORA_RANK), np.float32)
    save_file(tensors, folder / "adapter_model.safetensors")
    form = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "bias": "none", "lora_alpha": 8}
    (folder / "adapter_config.json").write_text(
        json.dumps({**form, "r": _LORA_RANK, "target_modules": ["q_proj"]})
    )
    return folder


@contextlib.asynccontextmanager
async def nginx(
    engine: Served, folder: Path, *, buffering: bool, prefix: str = "/", only: str = "/"
) -> AsyncIterator[Served]:
    """Debian's nginx in front of an engine: at `prefix`, of which only the paths below `only` are passed on."""
    port = free_port()
    folder.mkdir()
    places = "\n".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    target = f"{engine.engine}{only}"
    (folder / "nginx.conf").write_text(
        f"""\
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{}}
http {{
access_log off;
{places}
server {{
listen 127.0.0.1:{port};
location = /up {{ return 204; }}
location {prefix.rstrip("/")}{only} {{
proxy_pass {target};
proxy_http_version 1.1;
proxy_buffering {"on" if buffering else "off"};
}}
}}
}}
"""
    )
    command = ("nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log")
    at = f"http://127.0.0.1:{port}"
    async with running(*command, ready=f"{at}/up", log=folder / "log"):
        yield Served(
            url=f"{at}{prefix.rstrip('/')}/v1",
            model=engine.model,
            pid=engine.pid,
            key=engine.key,
            engine=engine.engine,
            is_gateway=only != "/",
        )


@contextlib.asynccontextmanager
async def litellm(engine: Served, folder: Path, *, release: str) -> AsyncIterator[Served]:
    """LiteLLM's proxy in front of an engine."""
    programs = await installed(release)
    folder.mkdir()
    key = "sk-foreign-gateway"
    target = {
        "model": f"hosted_vllm/{engine.model}",
        "api_base": engine.url,
        "api_key": engine.key,
    }
    # JSON is YAML
    config = folder / "config.yaml"
    config.write_text(
        json.dumps(
            {
                "model_list": [{"model_name": engine.model, "litellm_params": target}],
                "general_settings": {"master_key": key},
            }
        )
    )
    port = free_port()
    at = f"http://127.0.0.1:{port}"
    command = (programs / "litellm", "--config", config, "--host", "127.0.0.1", "--port", str(port))
    async with running(
        *command,
        ready=f"{at}/health/liveliness",
        log=folder / "log",
        environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"},
    ):
        yield Served(
            url=f"{at}/v1",
            model=engine.model,
            pid=engine.pid,
            key=key,
            engine=engine.engine,
            is_gateway=True,
        )


@contextlib.asynccontextmanager
async def llama_cpp(model: Path, folder: Path) -> AsyncIterator[Served]:
    """llama.cpp's own server of a GGUF file."""
    await installed("llama.cpp")
    port = free_port()
    at = f"http://127.0.0.1:{port}"
    script = Path(__file__).with_name("llama_server.py")
    command = (python_of("llama.cpp"), script, model, str(port))
    async with running(*command, ready=f"{at}/health", log=folder / "llama.log") as pid:
        yield Served(url=f"{at}/v1", model=model.name, pid=pid, engine=at, counts_closed=False)


@contextlib.asynccontextmanager
async def transformers(folder: Path) -> AsyncIterator[Served]:
    """`transformers serve` with the nano reasoner."""
    programs = await installed("transformers")
    port = free_port()
    at = f"http://127.0.0.1:{port}"
    model = str(nano_model("reasoner"))
    options = ("--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32")
    command = (programs / "transformers", "serve", model, *options)
    async with running(
        *command,
        ready=f"{at}/health",
        log=folder / "transformers.log",
        environment={"HF_HUB_OFFLINE": "1"},
    ) as pid:
        yield Served(url=f"{at}/v1", model=model, pid=pid)
