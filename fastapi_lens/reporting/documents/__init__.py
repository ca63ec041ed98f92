"""Reports as JSON, CSV, Markdown and OpenMetrics, made from what was read. No queries."""
