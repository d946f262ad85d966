"""Converts the config to settings of ``matrix/``. Only a running bot imports this."""

from matrix import HomeserverSettings, RoomStyle
from strandline.config.model import HomeserverSection, RoomsSection


def homeserver_settings(section: HomeserverSection) -> HomeserverSettings:
    """The homeserver and account to log in to."""
    return HomeserverSettings(
        url=section.url,
        user_id=section.user_id,
        password=section.password,
        access_token=section.access_token,
        device_name=section.device_name,
    )


def room_style(section: RoomsSection) -> RoomStyle:
    """The settings of rooms that the bot creates."""
    return RoomStyle(
        encrypted=section.encrypted,
        history_visibility=section.history_visibility,
        space_avatar=section.space_avatar,
    )
