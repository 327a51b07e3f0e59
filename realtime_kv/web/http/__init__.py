"""What all HTTP requests share: authentication, CSRF, parsing, errors, headers, compression."""
