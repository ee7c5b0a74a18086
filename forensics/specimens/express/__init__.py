"""The orders service on Express 5 and the AWS SDK v3 for JavaScript; see ``forensics.specimens.packages``."""
