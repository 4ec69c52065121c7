"""Systems with an HTTP API of their own, described by a recipe: a page of TOML instead of code.

Read it in this order: `recipe` (the format), `templates` and `pointers` (the two small languages in it), `answers`,
`caller`, `people`, `connector`. `checking` says what is wrong with a recipe, line by line.
"""

from keyback.connectors.http.connector import HttpConnector

__all__ = ["HttpConnector"]
