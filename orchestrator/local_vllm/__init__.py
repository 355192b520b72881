"""vLLM servers on this machine: the command line, the process, the hardware."""
