"""Bad input: requests that nobody should send, made from the server's own OpenAPI document."""
