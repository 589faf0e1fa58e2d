"""The settings of test-time control that a run evaluates, and what they are in the protocol."""

from __future__ import annotations

from reghar.errors import InputError
from reghar.prompting.control import make_settings
from reghar.prompting.thinking import Delimiters
from reghar.protocol import ControlProtocol, Setting
from reghar.run.settings import RunSettings


def control_of(
    settings: RunSettings, budgets: tuple[int, ...], delimiters: Delimiters | None
) -> tuple[Setting, ...]:
    """The settings beside the plain evaluation. Raises `InputError`."""
    control = make_settings(
        settings.control,
        settings.control_settings,
        budgets=budgets,
        wait_strings=settings.wait_strings,
        user=settings.control_user,
        system=settings.control_system,
    )
    if delimiters is None and any(setting.after is not None and not setting.appended for setting in control):
        raise InputError(
            "--wait-string none bars the delimiter that ends the thinking, and the model has none; "
            "give --thinking-delimiters, or a string"
        )
    return control


def control_protocol(settings: RunSettings, control: tuple[Setting, ...]) -> ControlProtocol:
    """The method, and each setting with all that it asks; of `force` the budgets that were named."""
    named = not control and settings.control_settings
    budgets = tuple(sorted(int(entry) for entry in settings.control_settings)) if named else None
    return ControlProtocol(method=settings.control, settings=control, budgets=budgets)
