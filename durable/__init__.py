"""Durable state: everything that survives SIGKILL.

``durable.store`` is the database. ``durable.records`` defines the records in the database.
``durable.flows`` has the built-in flows with durable states.
"""
