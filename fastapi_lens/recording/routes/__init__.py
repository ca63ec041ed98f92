"""The routes of an application: which are there, and which one a request reached."""
