"""What our own HTTP servers share: listening, keys, requests and errors in OpenAI's shape."""
