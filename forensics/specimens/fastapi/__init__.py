"""An orders service on FastAPI, uvicorn and boto3; ``leaking`` and ``mended`` differ in one cache."""
