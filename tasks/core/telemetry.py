"""No data leaves the machine unasked: usage reports of every library are switched off here.

Imported for its effect, before the libraries, by every entry point. `.dvc/config` says the same to DVC for people who call it themselves.
"""

from __future__ import annotations

import os

SWITCHES = {
    "DO_NOT_TRACK": "1",  # Prefect's client, and other tools that respect this variable
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # the server's heartbeat and the UI's page counts
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "DAFT_ANALYTICS_ENABLED": "0",
    "SCARF_NO_ANALYTICS": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def switch_off() -> None:
    """Set every switch, overriding the user's own settings."""
    os.environ.update(SWITCHES)


switch_off()
