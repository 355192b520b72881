"""The driver of an app that a page shows; it runs in the app's own process, without the web server's imports."""

from textual.drivers.web_driver import WebDriver
from textual.messages import ExitApp

__all__ = ["PageDriver"]


class PageDriver(WebDriver):
    """Textual's web driver, which also ends the app when the server process has gone."""

    def run_input_thread(self) -> None:
        """Handles input until the app exits or the server closes the pipe."""
        super().run_input_thread()
        if not self.exit_event.is_set():
            self._app.post_message(ExitApp())
