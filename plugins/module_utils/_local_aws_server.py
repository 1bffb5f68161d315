# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The look-alike of AWS as a process: `python -m ...module_utils._local_aws_server --port 24566`.

Listens on 127.0.0.1 only. Everything is in memory, so that a new process knows nothing of the last one's.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_app import Application
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_calls import Calls
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_control import Control
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_sts import Sts
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import Settings, World

HOST = "127.0.0.1"


def application(world: World) -> Application:
    """All of it but the socket."""
    from moto.core.base_backend import BackendDict  # noqa: PLC0415  (slow, and only the process needs it)
    from moto.core.model_instances import reset_model_data  # noqa: PLC0415
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415
        DomainDispatcherApplication,
        create_backend_app,
    )

    def reset() -> None:
        BackendDict.reset()
        reset_model_data()

    calls = Calls()
    return Application(
        world, calls, Sts(world), Control(world, calls, reset), DomainDispatcherApplication(create_backend_app)
    )


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(description="A look-alike of AWS on this machine.")
    parser.add_argument("--port", type=int, default=24566)
    parser.add_argument(
        "--settings", type=json.loads, default={}, help="settings as JSON, as POST /local-aws/settings takes"
    )
    given = parser.parse_args(arguments)
    settings = Settings()
    settings.update(given.settings)
    world = World(settings)

    from werkzeug.serving import make_server  # noqa: PLC0415

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server(HOST, given.port, application(world), threaded=True)

    def end(*_: object) -> t.NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        world.forget()
    return 0


if __name__ == "__main__":
    sys.exit(main())
