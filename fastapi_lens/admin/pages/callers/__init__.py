"""The callers of the application, the page of each of them, and forgetting one."""
