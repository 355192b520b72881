"""The terminal display: shows a live or recorded run and sends the user's commands to a live one."""
