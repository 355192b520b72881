"""The examples for GPU hosts: files that parse, with flags that vLLM and our own commands know."""

import ast
import configparser
import importlib.util
import itertools
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from judge_server.cli.main import _parser
from judge_server.serving.vllm_options import ServeOptions, judge_model
from orchestrator.config.shipped import judge_spec
from orchestrator.local_vllm.command import vllm_command
from orchestrator.local_vllm.hardware import Hardware

EXAMPLES = Path(__file__).parents[1] / "examples" / "judge"


@pytest.fixture(scope="module")
def known_flags() -> set[str]:
    """What vLLM's own argument parser takes, read from its source (importing vLLM takes a minute)."""
    package = importlib.util.find_spec("vllm")
    assert package is not None
    assert package.submodule_search_locations
    root = Path(package.submodule_search_locations[0])
    flags = set()
    for file in [root / "engine" / "arg_utils.py", *root.glob("entrypoints/**/cli_args.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and str(node.value).startswith("--"):
                flags.add(str(node.value))
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                flags.add("--" + node.target.id.replace("_", "-"))
    assert len(flags) > 100
    return flags


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load(
        (EXAMPLES / "compose.yaml").read_text(encoding="utf-8")
    )["services"]
    return services


def test_compose_serves_with_flags_that_vllm_knows(
    services: dict[str, Any], known_flags: set[str]
) -> None:
    for service in services.values():
        model, *flags = service["command"]
        assert re.fullmatch(r"[\w-]+/[\w.-]+", model)
        assert {flag.partition("=")[0] for flag in flags} <= known_flags


def test_compose_opens_ports_to_this_host_only_and_checks_health(services: dict[str, Any]) -> None:
    assert set(services) == {"reasoner", "judge"}
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert service["healthcheck"]["test"][0] == "CMD"
    gpus = [
        service["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"]
        for service in services.values()
    ]
    assert gpus[0] != gpus[1]


def test_compose_serves_the_judge_as_our_command_does(services: dict[str, Any]) -> None:
    spec, model = judge_model(ServeOptions(judge="deepprune-4b"), Hardware(gpus=1))
    source, *flags = services["judge"]["command"]
    given = dict(flag.partition("=")[::2] for flag in flags)
    ours = vllm_command(model, 8000, Hardware(gpus=1))
    for name, value in itertools.pairwise([*ours[ours.index("--served-model-name") :], "--"]):
        if name in ("--host", "--port") or not name.startswith("--"):
            continue
        if name == "--max-model-len":
            assert int(given[name]) >= int(value)
        else:
            assert given.pop(name) == ("" if value.startswith("--") else value), name
    assert source == model.source
    assert given.keys() == {"--max-model-len"}
    assert judge_spec("deepprune-4b") == spec


@pytest.mark.parametrize("gpus", [0, 1, 8])
@pytest.mark.parametrize("judge", ["nano", "deepprune-4b", "classifier"])
def test_serve_uses_flags_that_vllm_knows(
    known_flags: set[str], tmp_path: Path, judge: str, gpus: int
) -> None:
    if judge == "classifier":
        file = tmp_path / "classifier.yaml"
        file.write_text(
            'name: c\nkind: classification\nmodel: a/b\ninstruction: ""\nquery: "{new}"\nitem: "{member}"\n'
        )
        judge = str(file)
    hardware = Hardware(gpus=gpus)
    command = vllm_command(judge_model(ServeOptions(judge=judge), hardware)[1], 1, hardware)
    assert {word for word in command if word.startswith("--")} <= known_flags


def test_the_unit_starts_a_command_that_exists_and_keeps_the_key_in_a_file() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]  # as the library documents it
    unit.read(EXAMPLES / "deepprune-judge.service")
    service = unit["Service"]
    program, *words = shlex.split(service["ExecStart"])
    assert program.endswith("/deepprune-judge")
    arguments = _parser().parse_args(words)
    assert judge_spec(arguments.judge).name == arguments.judge
    assert arguments.host == "127.0.0.1"
    assert service["EnvironmentFile"]
    assert "API_KEY" not in "".join(unit["Service"].values())
    assert service["NoNewPrivileges"] == service["PrivateTmp"] == "yes"
    assert service["SuccessExitStatus"] == "130"
