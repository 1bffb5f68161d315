# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A process that keeps tokens of service accounts in files, as the kubelet does for pods that get their roles by IRSA.

`python -m ...module_utils._local_controllers_tokens --kubeconfig k --namespace argocd --directory tokens argocd-server`
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._dev_cluster_state import write_private
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_roles import AUDIENCE
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube

LIFETIME = 3600
"""Seconds that a token is asked for. The server may give another time, so that tokens are renewed well before."""
_RENEWED = 0.4
"""The share of that after which there is a new one: two attempts may fail for long before one ends."""
_AGAIN = 2.0
"""Seconds after which a failed attempt is repeated, growing to a minute."""
_LONGEST = 60.0

Connect = t.Callable[[], t.Any]


def renew(kube: t.Any, namespace: str, accounts: t.Iterable[str], directory: str) -> None:
    """Write a new token of each account, for its owner only.

    :raises HubspokeError: the cluster gives none.
    """
    for account in accounts:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [AUDIENCE], "expirationSeconds": LIFETIME},
        }
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        write_private(os.path.join(directory, account), kube.request("POST", path, body)["status"]["token"])


def keep(
    connect: Connect,
    namespace: str,
    accounts: t.Sequence[str],
    directory: str,
    sleep: t.Callable[[float], None] = time.sleep,
) -> t.NoReturn:
    """Renew them again and again.

    :arg connect: Connects to the cluster, anew each time: its own credential ends, too.
    """
    failed = 0
    while True:
        try:
            renew(connect(), namespace, accounts, directory)
        except (HubspokeError, OSError) as error:
            _say(f"no tokens for {', '.join(accounts)}: {error}")
            sleep(min(_AGAIN * 2**failed, _LONGEST))
            failed += 1
        else:
            _say(f"new tokens for {', '.join(accounts)}")
            failed = 0
            sleep(LIFETIME * _RENEWED)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def main(arguments: list[str] | None = None) -> t.NoReturn:
    """Keep tokens until told to end."""
    parser = argparse.ArgumentParser(description="Tokens of service accounts for processes on this machine.")
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--directory", required=True, help="folder of the tokens, each called like its account")
    parser.add_argument("accounts", nargs="+")
    given = parser.parse_args(arguments)
    keep(
        lambda: Kube.from_params({"kubeconfig": given.kubeconfig}),
        given.namespace,
        given.accounts,
        given.directory,
    )


if __name__ == "__main__":
    main()
