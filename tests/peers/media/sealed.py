"""Encryption from end to end in LiveKit's Python client."""

from livekit import rtc


def options(secret: str | None) -> rtc.RoomOptions:
    """For a room where everybody has this secret; None for one without."""
    if not secret:
        return rtc.RoomOptions()
    # Without guessing at later keys: a wrong one would be tried sixteen times with every frame.
    key = rtc.KeyProviderOptions(shared_key=secret.encode(), ratchet_window_size=0)
    return rtc.RoomOptions(encryption=rtc.E2EEOptions(key_provider_options=key))
