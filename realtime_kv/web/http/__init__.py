"""HTTP layer of all requests: authentication, CSRF, parsing, errors, headers, compression."""
