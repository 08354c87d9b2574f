"""The answer to one API call: live, recorded or simulated."""

from toolbench.apis.chain import Chain, identity, open_chain, sources

__all__ = ["Chain", "identity", "open_chain", "sources"]
