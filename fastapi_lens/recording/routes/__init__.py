"""The routes of an application: their tree, and the route that a request reached."""
