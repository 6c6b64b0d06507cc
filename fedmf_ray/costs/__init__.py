"""Which second is which: measured, charged, estimated, derived."""
