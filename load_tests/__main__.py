"""The command line: python -m load_tests SCENARIO --url URL ..."""

import click

from load_tests.scenarios import SCENARIOS


@click.group()
def main() -> None:
    """Put load on a deployment and check what it does with it."""


for scenario in SCENARIOS:
    main.add_command(scenario)

if __name__ == "__main__":
    main(prog_name="python -m load_tests")
