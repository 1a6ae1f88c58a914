"""The OpenAPI document of what a port serves, made from the routes themselves."""
