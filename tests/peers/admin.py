"""One call of the real server API client.

    admin.py URL KEY SECRET remove ROOM METADATA      removes the participant with this metadata
    admin.py URL KEY SECRET delete ROOM               deletes the room
    admin.py URL KEY SECRET send ROOM TOPIC TEXT      sends a reliable data packet from the server to everybody
"""

import asyncio
import sys

from livekit import api


async def main(url: str, key: str, secret: str, verb: str, room: str, *rest: str) -> None:
    async with api.LiveKitAPI(url, key, secret) as server:
        if verb == "remove":
            listed = await server.room.list_participants(api.ListParticipantsRequest(room=room))
            (identity,) = [one.identity for one in listed.participants if one.metadata == rest[0]]
            await server.room.remove_participant(api.RoomParticipantIdentity(room=room, identity=identity))
        elif verb == "delete":
            await server.room.delete_room(api.DeleteRoomRequest(room=room))
        elif verb == "send":
            packet = api.SendDataRequest(room=room, topic=rest[0], data=rest[1].encode(), kind=0)
            await server.room.send_data(packet)
        else:
            raise SystemExit(f"unknown verb {verb}")


asyncio.run(main(*sys.argv[1:]))
