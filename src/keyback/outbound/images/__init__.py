"""Pictures that strangers send: decoded in a process of its own, which can do nothing but compute."""
