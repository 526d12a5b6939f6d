"""The `colonnade` command.

    colonnade services                     what is installed
    colonnade show SERVICE                 what it takes and gives
    colonnade run SERVICE --field value    run it here
    colonnade report DIR                   the report of a run directory, again
    colonnade workflow run FILE            several services as one
    colonnade serve                        the gateway
    colonnade admin                        its accounts and database
    colonnade login | submit | status | fetch | cancel    against a remote gateway

Exit codes: 0 done, 1 the run (or the gateway) failed, 2 wrong input, 130 stopped by Ctrl-C. Answers go to standard
output, everything else to standard error; `--json` makes the answer one JSON document.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give back its exit code.

    Args:
        arguments: what follows the command's name; that of this process when left out.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] == "services" and set(given[1:]) <= {"--json"}:
        from colonnade.cli.listing import services  # a list is wanted at once: no option parser is loaded for it

        return services(json="--json" in given)
    from colonnade.cli.commands import run

    return run(given)
