"""Between the socket and the routes."""
