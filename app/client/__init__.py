"""filmgate-client: `client.videos` as openai-python has it, for every Filmgate gateway. Needs httpx2 and nothing of ours.

One source, two names: the gateway's command line imports it as ``app.client``, and ``pip install ./app/client`` makes the
package ``filmgate_client`` of it (pyproject.toml beside this file).
"""

from .clients import *  # noqa: F403
from .errors import *  # noqa: F403
from .models import *  # noqa: F403

__version__ = "0.2.0"
