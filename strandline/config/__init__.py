"""The config file: its shape, its checks, its errors."""
