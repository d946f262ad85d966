"""Durable state: everything that survives SIGKILL.

``durable.store`` is the database, ``durable.records`` the records in it, ``durable.flows`` the
built-in flows with durable states.
"""
