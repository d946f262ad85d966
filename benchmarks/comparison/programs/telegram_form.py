"""The form on python-telegram-bot: a persistent ConversationHandler."""

import os

from telegram import Update
from telegram.ext import (
    Application,
    CommandHandler,
    ContextTypes,
    ConversationHandler,
    MessageHandler,
    PicklePersistence,
    filters,
)

NAME, AGE, CONFIRM = range(3)
TEXT = filters.TEXT & ~filters.COMMAND
Context = ContextTypes.DEFAULT_TYPE


async def begin(update: Update, _context: Context) -> int:
    await update.message.reply_text("What is your name?")
    return NAME


async def take_name(update: Update, context: Context) -> int:
    context.user_data["name"] = update.message.text.strip()
    await update.message.reply_text("How old are you?")
    return AGE


async def take_age(update: Update, context: Context) -> int:
    text = update.message.text.strip()
    if not text.isdecimal() or not 1 <= int(text) <= 150:
        await update.message.reply_text("Please give a whole number from 1 to 150.")
        return AGE
    context.user_data["age"] = int(text)
    await update.message.reply_text("Send it? (yes/no)")
    return CONFIRM


async def submit(update: Update, context: Context) -> int:
    submitted = context.user_data.setdefault("submitted", [])
    submitted.append((context.user_data["name"], context.user_data["age"]))
    context.application.mark_data_for_update_persistence(user_ids=update.effective_user.id)
    await context.application.update_persistence()  # on disk before it is confirmed
    await update.message.reply_text(f"Stored as no. {len(submitted)}.")
    return ConversationHandler.END


async def unclear(update: Update, _context: Context) -> int:
    await update.message.reply_text("Please answer yes or no.")
    return CONFIRM


async def drop(update: Update, _context: Context) -> int:
    await update.message.reply_text("Dropped.")
    return ConversationHandler.END


async def nothing_open(update: Update, _context: Context) -> None:
    await update.message.reply_text("No form is open. /form begins one.")


async def show(update: Update, context: Context) -> None:
    entries = enumerate(context.user_data.get("submitted", []), 1)
    listed = "; ".join(f"{number}: {name} ({age})" for number, (name, age) in entries)
    await update.message.reply_text(listed or "You have submitted nothing.")


def main() -> None:
    application = (
        Application.builder()
        .token(os.environ["TOKEN"])
        .base_url(f"{os.environ['BOT_API']}/bot")
        .persistence(PicklePersistence("form.pickle", update_interval=1))
        .build()
    )
    form = ConversationHandler(
        entry_points=[CommandHandler("form", begin)],
        states={
            NAME: [MessageHandler(TEXT, take_name)],
            AGE: [MessageHandler(TEXT, take_age)],
            CONFIRM: [
                MessageHandler(filters.Regex("(?i)^yes$"), submit),
                MessageHandler(filters.Regex("(?i)^no$"), drop),
                MessageHandler(TEXT, unclear),
            ],
        },
        fallbacks=[CommandHandler("cancel", drop)],
        allow_reentry=True,
        name="form",
        persistent=True,
    )
    application.add_handler(form)
    application.add_handler(CommandHandler("submitted", show))
    application.add_handler(MessageHandler(TEXT, nothing_open))
    application.run_polling()


if __name__ == "__main__":
    main()
