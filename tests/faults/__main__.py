"""`python -m tests.faults --seeds 10`: the campaign against the mock server, its figures, and what did not hold."""

import argparse
import asyncio
import logging
import sys

from tests.faults.campaign import campaign, tables
from tests.faults.replicas import replica_campaign
from tests.faults.runs import POLICIES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="runs of each policy")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--kills", type=int, default=0, help="killed runs of each signal")
    parser.add_argument("--vllm", action="store_true", help="three vLLM replicas too")
    parser.add_argument("--words", type=int, default=150, help="tokens of a trace")
    parser.add_argument("--policy", action="append", choices=POLICIES, help="repeatable")
    arguments = parser.parse_args()
    logging.getLogger("aiohttp.server").disabled = True  # of servers whose connections are cut
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    policies = arguments.policy or POLICIES
    outcomes = asyncio.run(campaign(seeds, policies, words=arguments.words, kills=arguments.kills))
    figures = asyncio.run(replica_campaign()) if arguments.vllm else None
    outcomes += figures.outcomes if figures else []
    sys.stdout.write(tables(outcomes))
    sys.stdout.write(f"\n{figures}" if figures else "")
    wrong = [
        *(
            f"{run.policy}, seed {run.seed}: {violation}"
            for run in outcomes
            for violation in run.violations
        ),
        *(figures.violations if figures else ()),
    ]
    sys.stdout.writelines(f"{sentence}\n" for sentence in wrong)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
