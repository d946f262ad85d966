"""The form on maubot: a plugin that keeps each form's step in its database."""

from maubot import MessageEvent, Plugin
from maubot.handlers import command
from mautrix.util.async_db import Connection, UpgradeTable

upgrade_table = UpgradeTable()


@upgrade_table.register(description="Open forms and what was submitted")
async def upgrade_v1(conn: Connection) -> None:
    await conn.execute(
        """CREATE TABLE form (
            room_id TEXT,
            user_id TEXT,
            step    TEXT NOT NULL,
            name    TEXT,
            age     INTEGER,
            PRIMARY KEY (room_id, user_id)
        )"""
    )
    await conn.execute(
        """CREATE TABLE submission (
            user_id TEXT,
            number  INTEGER,
            name    TEXT NOT NULL,
            age     INTEGER NOT NULL,
            PRIMARY KEY (user_id, number)
        )"""
    )


class FormBot(Plugin):
    @classmethod
    def get_db_upgrade_table(cls) -> UpgradeTable:
        return upgrade_table

    @command.new("form")
    async def begin(self, evt: MessageEvent) -> None:
        q = """
            INSERT INTO form (room_id, user_id, step) VALUES ($1, $2, 'name')
            ON CONFLICT (room_id, user_id) DO UPDATE SET step='name', name=NULL, age=NULL
        """
        await self.database.execute(q, evt.room_id, evt.sender)
        await evt.reply("What is your name?")

    @command.new("cancel")
    async def cancel(self, evt: MessageEvent) -> None:
        await self.drop(evt)

    @command.new("submitted")
    async def submitted(self, evt: MessageEvent) -> None:
        q = "SELECT number, name, age FROM submission WHERE user_id=$1 ORDER BY number"
        rows = await self.database.fetch(q, evt.sender)
        listed = "; ".join(f"{row['number']}: {row['name']} ({row['age']})" for row in rows)
        await evt.reply(listed or "You have submitted nothing.")

    @command.passive(r"^[^!].*")
    async def answer(self, evt: MessageEvent, _match: tuple[str]) -> None:
        q = "SELECT step FROM form WHERE room_id=$1 AND user_id=$2"
        step = await self.database.fetchval(q, evt.room_id, evt.sender)
        text = evt.content.body.strip()
        if step == "name":
            await self.take_name(evt, text)
        elif step == "age":
            await self.take_age(evt, text)
        elif step == "confirm" and text.lower() == "yes":
            await self.submit(evt)
        elif step == "confirm" and text.lower() == "no":
            await self.drop(evt)
        elif step == "confirm":
            await evt.reply("Please answer yes or no.")
        else:
            await evt.reply("No form is open. !form begins one.")

    async def take_name(self, evt: MessageEvent, text: str) -> None:
        q = "UPDATE form SET step='age', name=$3 WHERE room_id=$1 AND user_id=$2"
        await self.database.execute(q, evt.room_id, evt.sender, text)
        await evt.reply("How old are you?")

    async def take_age(self, evt: MessageEvent, text: str) -> None:
        if not text.isdecimal() or not 1 <= int(text) <= 150:
            await evt.reply("Please give a whole number from 1 to 150.")
            return
        q = "UPDATE form SET step='confirm', age=$3 WHERE room_id=$1 AND user_id=$2"
        await self.database.execute(q, evt.room_id, evt.sender, int(text))
        await evt.reply("Send it? (yes/no)")

    async def submit(self, evt: MessageEvent) -> None:
        count = "SELECT COUNT(*) FROM submission WHERE user_id=$1"
        store = """
            INSERT INTO submission (user_id, number, name, age)
            SELECT user_id, $3, name, age FROM form WHERE room_id=$1 AND user_id=$2
        """
        close = "DELETE FROM form WHERE room_id=$1 AND user_id=$2"
        async with self.database.acquire() as conn, conn.transaction():
            number = await conn.fetchval(count, evt.sender) + 1
            await conn.execute(store, evt.room_id, evt.sender, number)
            await conn.execute(close, evt.room_id, evt.sender)
        await evt.reply(f"Stored as no. {number}.")

    async def drop(self, evt: MessageEvent) -> None:
        q = "DELETE FROM form WHERE room_id=$1 AND user_id=$2"
        await self.database.execute(q, evt.room_id, evt.sender)
        await evt.reply("Dropped.")
