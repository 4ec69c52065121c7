"""The help desk's console: what operators see and do in the browser."""
