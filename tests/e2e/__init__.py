"""Browser tests. A package, so that its one browser is closed before other tests need the main thread's event loop."""
