"""A client of the clinic for Python: every procedure by its name, typed by the procedures' own shapes.

async with Client("https://clinic.example", token) as clinic:
    session = await clinic.intake.get_session(session_id=session_id)
    await clinic.message.send(connection_id=connection_id, content="Hello")
    async for event in clinic.message.on_conversation(connection_id=connection_id):
        print(event.value.kind)
"""

from anamnesis.client.calls import Clinic
from anamnesis.client.line import Event, Refused

#: The name it is known by.
Client = Clinic

__all__ = ["Client", "Event", "Refused"]
