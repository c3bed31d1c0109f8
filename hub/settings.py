"""The hub's settings: DOORSTEP_HUB_* in the environment."""

from pathlib import Path

from platformdirs import user_data_path
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from hub.errors import UsageError


class HubSettings(BaseSettings):
    """Each field is read from DOORSTEP_HUB_ and its name in capitals. Times are seconds."""

    model_config = SettingsConfigDict(env_prefix="DOORSTEP_HUB_")

    data: Path = Field(
        default_factory=lambda: user_data_path("doorstep", appauthor=False) / "hub", description="the data folder"
    )
    radio: str = Field("system", description='"system", or NAME:ADDRESS of an emulated radio')
    slots: int = Field(3, ge=1, le=16, description="readers connected at once")
    watchdog: float = Field(10, gt=0, le=300, description="how long a transfer may stand still")
    revisit: float = Field(600, gt=0, description="how long a reader in range is left alone when it has no work")
    poll: float = Field(60, gt=0, description="how often the server is asked when there is nothing to send")
    page: bool = Field(True, description="whether the operator's page is served, on this machine only")
    page_port: int = Field(0, ge=0, le=65535, description="the page's port; 0, or one that is taken: any that is free")
    keep_days: int = Field(30, ge=1, description="days that delivered records are kept")


def load() -> HubSettings:
    """Raises UsageError with the name of the variable that is wrong."""
    try:
        return HubSettings()  # pyright: ignore[reportCallIssue]  the fields come from the environment
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise UsageError(f"DOORSTEP_HUB_{name} is wrong: {first['msg']}.") from error
