"""The admin API: the help desk's objects for programs, each checked by the same table as the console's."""
