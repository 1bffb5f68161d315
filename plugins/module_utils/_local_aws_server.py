# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The look-alike of AWS as a process: `python -m ...module_utils._local_aws_server --port 24566`.

Listens on 127.0.0.1 only. What AWS knows is in memory, so that a new process knows nothing of the last one's; control
planes that the last one left are removed.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_authenticator as authenticator
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _local_aws_containers as containers
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_app import CONTROL, Application
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_calls import Calls
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_control import Control
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_planes import KwokPlanes
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_sts import Sts
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import Settings, World
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._supervisor_files import MARK

HOST = "127.0.0.1"


def application(world: World) -> Application:
    """All of it but the socket."""
    from moto.core.base_backend import BackendDict  # noqa: PLC0415  (slow, and only the process needs it)
    from moto.core.model_instances import reset_model_data  # noqa: PLC0415
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415
        DomainDispatcherApplication,
        create_backend_app,
    )

    # Of moto's hundreds of machine images none is EKS's, and they take half a second for each region.
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"

    def reset() -> None:
        BackendDict.reset()
        reset_model_data()

    calls, sts = Calls(), Sts(world)
    further = {
        authenticator.PATH: authenticator.webhook(world),
        containers.PATH: containers.credentials(world, sts),
    }
    control = Control(world, calls, reset, further)
    return Application(world, calls, sts, control, DomainDispatcherApplication(create_backend_app))


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(description="A look-alike of AWS on this machine.")
    parser.add_argument("--port", type=int, default=24566)
    parser.add_argument("--settings", type=json.loads, default={}, help="JSON, as POST /local-aws/settings takes it")
    parser.add_argument("--directory", help="folder of the control planes, which nothing else may be in")
    parser.add_argument("--tools", type=json.loads, default={}, help="JSON of program to path; PATH has the others")
    parser.add_argument("--clear", action="store_true", help="only remove the control planes that an earlier life left")
    given = parser.parse_args(arguments)
    settings = Settings()
    settings.update(given.settings)
    world = World(settings)
    if given.directory:
        planes = KwokPlanes(given.directory, given.tools, f"http://{HOST}:{given.port}{CONTROL}{authenticator.PATH}")
        planes.clear()
        if given.clear:
            return 0
        world.planes = planes
        planes.keep(world)
    # Policies that AWS itself offers to everybody.
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    # Control planes leave the session that the supervisor watches; with its mark they would be taken for left behind.
    os.environ.pop(MARK, None)
    # Its own requests to API servers on this machine are nobody else's.
    for name in ("KUBECONFIG", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        os.environ.pop(name, None)

    from werkzeug.serving import make_server  # noqa: PLC0415

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server(HOST, given.port, application(world), threaded=True)

    def stop(*_: object) -> t.NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        world.forget()
    return 0


if __name__ == "__main__":
    sys.exit(main())
