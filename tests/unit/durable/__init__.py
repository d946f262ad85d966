"""The store on real files: what is acknowledged is there, whatever the instant of a kill."""
