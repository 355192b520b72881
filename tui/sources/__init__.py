"""Where runs come from: this process, a recording, or a journal that another process writes."""
