"""The command line: the verbs, put together.

How a command ends is written down in ``console``.
"""

from __future__ import annotations

from typing import Final

import click

from espalier import __version__, console
from espalier.verbs import (
    asking,
    calling,
    experimenting,
    making,
    measuring,
    operating,
    serving,
)

_VERBS: Final[tuple[click.Command, ...]] = (
    making.train,
    making.pairs,
    making.demo_log,
    making.import_pecos,
    asking.complete,
    asking.retrieve,
    asking.try_,
    asking.predict,
    measuring.evaluate,
    measuring.inspect,
    measuring.validate,
    serving.serve,
    experimenting.experiments,
    experimenting.replay,
    serving.check_config,
    operating.indexes,
    operating.rules,
    calling.call,
    calling.health,
)


def main() -> int:
    """Run the command line of this process and return its exit code."""
    return console.run(cli)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 could not be done, 2 bad input, 3 not published (`train "
    "--must-beat`), 130 interrupted. "
    "ESPALIER_DEBUG=1 in the environment shows the traceback of an error.",
)
@click.version_option(__version__, message="espalier %(version)s")
def cli() -> None:
    """Query completion that knows the session, learned from your own query log."""


for _verb in _VERBS:
    cli.add_command(_verb)


@cli.command(
    epilog=console.examples(
        "espalier completions bash > ~/.local/share/bash-completion/completions/espalier",
        "espalier completions zsh > ~/.zfunc/_espalier",
        "espalier completions fish > ~/.config/fish/completions/espalier.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completions(*, shell: str) -> None:
    """Print the script that completes `espalier` in a shell."""
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    classes = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
    script = classes[shell](cli, {}, "espalier", "_ESPALIER_COMPLETE")
    # Not source(): for bash that starts a shell only to ask its version.
    click.echo(script.source_template % script.source_vars())
