"""OpenID Connect as a client: discovery, the code flow with PKCE, and what an ID token must say."""
