"""A command on a pseudo-terminal, used as a person does: keys in, everything that it draws out."""

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import termios
from collections.abc import AsyncIterator
from pathlib import Path

__all__ = ["Terminal", "on_terminal"]


class Terminal:
    """The terminal's side of a running command."""

    def __init__(self, master: int, process: asyncio.subprocess.Process) -> None:
        self.drawn = b""
        self.closed = False
        self.process = process
        self._master = master
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:  # the command has closed its side
            data = b""
        if not data:
            self.closed = True
            asyncio.get_running_loop().remove_reader(self._master)
        self.drawn += data
        self._changed.set()

    async def until(self, drawn: bytes) -> None:
        """Waits until so much has been drawn."""
        while drawn not in self.drawn:
            assert not self.closed, self.drawn.decode(errors="replace")
            self._changed.clear()
            await self._changed.wait()

    def press(self, keys: bytes) -> None:
        """Types keys, as the bytes that a terminal sends."""
        os.write(self._master, keys)

    async def end(self) -> int:
        """The exit code, once everything that was drawn is read."""
        code = await self.process.wait()
        with contextlib.suppress(TimeoutError):
            while True:  # until the terminal is silent
                self._changed.clear()
                await asyncio.wait_for(self._changed.wait(), 0.1)
        return code


@contextlib.asynccontextmanager
async def on_terminal(*command: str, cwd: Path) -> AsyncIterator[Terminal]:
    """Starts a command on a terminal of 120 by 40 characters; it is killed if it still runs at the end."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    environment.pop("CI", None)
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=cwd,
        env=environment,
        start_new_session=True,
    )
    os.close(slave)
    terminal = Terminal(master, process)
    try:
        yield terminal
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        asyncio.get_running_loop().remove_reader(master)
        os.close(master)
