"""Where runs come from: this process, a recording, a journal that is still being written."""
