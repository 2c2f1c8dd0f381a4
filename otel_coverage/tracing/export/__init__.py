"""How spans leave the process: the provider that makes them, their queue, messages of bounded size, their encoding."""
