"""Contract tests that anybody can import: they hold an extension to what the package relies on."""
