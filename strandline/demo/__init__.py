"""The demo: a throwaway homeserver, a bot as a process of its own, and somebody who talks to it."""
