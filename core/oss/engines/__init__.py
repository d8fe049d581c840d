"""What engines share: threads to asyncio, the wire form of requests, parsers of raw answers."""
