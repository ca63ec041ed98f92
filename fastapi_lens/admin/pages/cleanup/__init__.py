"""The cleanup page: which endpoints can be removed, its files, and endpoints kept on purpose."""
