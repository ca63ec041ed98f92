"""The request log: selection and redaction of single requests and of exceptions."""
