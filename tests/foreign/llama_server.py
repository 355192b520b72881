"""llama.cpp's own HTTP server of a GGUF file, as the bindings xllamacpp start it: run in the environment `llama.cpp`.

python llama_server.py FILE.gguf PORT
"""

import signal
import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.hostnames = ["127.0.0.1"]
params.port = int(sys.argv[2])
params.n_ctx = 16384
params.n_parallel = 8
params.endpoint_metrics = True
params.use_jinja = True
server = xllamacpp.Server(params)
signal.sigwait({signal.SIGINT, signal.SIGTERM})
