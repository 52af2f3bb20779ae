"""A real LiveKit client, steered by lines on standard input; every event is one line on standard output.

    client.py URL TOKEN

    data TOPIC TEXT              data_to METADATA TOPIC TEXT
    transcribe METADATA TEXT     what this one says, as packets: first not final, then final
    transcribe_stream METADATA TEXT                the same as a text stream that grows and becomes final

Others are printed by their metadata, which the tests choose. End of input: leave and exit.
"""

import asyncio
import os
import sys

from livekit import rtc


def say(*words: str) -> None:
    print(*words, flush=True)


async def standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def voice_of(room: rtc.Room, name: str) -> tuple[str, str]:
    for other in room.remote_participants.values():
        for sid, publication in other.track_publications.items():
            if other.metadata == name and publication.kind == rtc.TrackKind.KIND_AUDIO:
                return other.identity, sid
    raise SystemExit(f"nobody hears {name}")


async def transcribe(room: rtc.Room, name: str, text: str) -> None:
    identity, sid = voice_of(room, name)
    for said, is_final in [(text.split()[0], False), (text, True)]:
        segment = rtc.TranscriptionSegment(
            id="1", text=said, start_time=0, end_time=0, language="en", final=is_final
        )
        await room.local_participant.publish_transcription(rtc.Transcription(identity, sid, [segment]))


async def transcribe_stream(room: rtc.Room, name: str, text: str) -> None:
    _, sid = voice_of(room, name)
    attributes = {"lk.transcribed_track_id": sid, "lk.segment_id": "2", "lk.transcription_final": "false"}
    writer = await room.local_participant.stream_text(topic="lk.transcription", attributes=attributes)
    first, rest = text.split(" ", 1)
    await writer.write(first)
    await writer.write(" " + rest)
    await writer.aclose(attributes={"lk.transcription_final": "true"})


async def main(url: str, token: str) -> None:
    room = rtc.Room()

    room.on("participant_connected", lambda other: say("participant_connected", other.metadata))
    room.on("participant_disconnected", lambda other: say("participant_disconnected", other.metadata))
    leaving = False
    # The client reports its own leave too; only an end that it did not ask for is an event here.
    room.on("disconnected", lambda reason: leaving or say("disconnected"))

    @room.on("data_received")
    def data_received(packet: rtc.DataPacket) -> None:
        sender = packet.participant.metadata if packet.participant else "nobody"
        say("data", packet.topic or "", packet.data.decode(), "from", sender)

    await room.connect(url, token)
    for other in room.remote_participants.values():
        say("participant_present", other.metadata)
    say("connected")

    lines = await standard_input()
    while line := (await lines.readline()).decode().rstrip("\n"):
        verb, rest = line.split(" ", 1)
        if verb.startswith("transcribe"):
            how = transcribe if verb == "transcribe" else transcribe_stream
            await how(room, *rest.split(" ", 1))
            continue
        receivers = []
        if verb == "data_to":
            name, rest = rest.split(" ", 1)
            receivers = [other.identity for other in room.remote_participants.values() if other.metadata == name]
        topic, text = rest.split(" ", 1)
        await room.local_participant.publish_data(
            text.encode(), reliable=True, topic=topic, destination_identities=receivers
        )
    leaving = True
    await room.disconnect()


asyncio.run(main(sys.argv[1], sys.argv[2]))
# The client's library now and then aborts in one of its own threads while the interpreter ends.
sys.stdout.flush()
os._exit(0)
