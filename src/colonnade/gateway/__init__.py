"""The science gateway: a durable queue of jobs over a database, an engine that runs them, and the web in front."""
