"""Settings, the audit log and the danger zone."""
