"""The form on aiogram: its finite-state machine, kept in SQLite."""

import asyncio
import os

from aiogram import Bot, Dispatcher, F
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.filters import Command, StateFilter
from aiogram.fsm.context import FSMContext
from aiogram.fsm.state import State, StatesGroup
from aiogram.types import Message
from aiogram_fsm_sqlitestorage import SQLiteStorage

dispatcher = Dispatcher(storage=SQLiteStorage("form.db"))


class Form(StatesGroup):
    name = State()
    age = State()
    confirm = State()


@dispatcher.message(Command("form"))
async def begin(message: Message, state: FSMContext) -> None:
    await state.set_state(Form.name)
    await message.answer("What is your name?")


@dispatcher.message(Command("cancel"), StateFilter(Form))
@dispatcher.message(Form.confirm, F.text.lower() == "no")
async def drop(message: Message, state: FSMContext) -> None:
    await state.set_state(None)
    await message.answer("Dropped.")


@dispatcher.message(Command("submitted"))
async def show(message: Message, state: FSMContext) -> None:
    entries = enumerate((await state.get_data()).get("submitted", []), 1)
    listed = "; ".join(f"{number}: {name} ({age})" for number, (name, age) in entries)
    await message.answer(listed or "You have submitted nothing.")


@dispatcher.message(Form.name, F.text)
async def take_name(message: Message, state: FSMContext) -> None:
    await state.update_data(name=message.text.strip())
    await state.set_state(Form.age)
    await message.answer("How old are you?")


@dispatcher.message(Form.age, F.text.regexp(r"^([1-9]\d?|1[0-4]\d|150)$"))
async def take_age(message: Message, state: FSMContext) -> None:
    await state.update_data(age=int(message.text))
    await state.set_state(Form.confirm)
    await message.answer("Send it? (yes/no)")


@dispatcher.message(Form.age)
async def ask_age_again(message: Message) -> None:
    await message.answer("Please give a whole number from 1 to 150.")


@dispatcher.message(Form.confirm, F.text.lower() == "yes")
async def submit(message: Message, state: FSMContext) -> None:
    data = await state.get_data()
    submitted = [*data.get("submitted", []), (data["name"], data["age"])]
    await state.update_data(submitted=submitted)
    await state.set_state(None)
    await message.answer(f"Stored as no. {len(submitted)}.")


@dispatcher.message(Form.confirm)
async def unclear(message: Message) -> None:
    await message.answer("Please answer yes or no.")


@dispatcher.message(F.text)
async def nothing_open(message: Message) -> None:
    await message.answer("No form is open. /form begins one.")


async def main() -> None:
    server = TelegramAPIServer.from_base(os.environ["BOT_API"])
    bot = Bot(os.environ["TOKEN"], session=AiohttpSession(api=server))
    one_by_one = bool(os.environ.get("ONE_BY_ONE"))  # the other of two ways that are measured
    await dispatcher.start_polling(bot, handle_as_tasks=not one_by_one)


if __name__ == "__main__":
    asyncio.run(main())
