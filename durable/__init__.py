"""Everything that survives SIGKILL.

``durable.store`` is the database, ``durable.records`` what is kept in it, ``durable.flows`` the
bot's own flows whose states a restart keeps.
"""
