"""The live view: bars that redraw themselves on a terminal, a line now and then in a log."""

import shutil
import sys
import time

BAR = 24


class View:
    def __init__(self):
        self.terminal = sys.stdout.isatty()
        self.drawn = 0
        self.last_line = 0.0
        self.began = time.monotonic()

    def say(self, text):
        """A line that stays."""
        self.erase()
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def erase(self):
        if self.drawn:
            sys.stdout.write(f"\x1b[{self.drawn}A\x1b[J")
            self.drawn = 0

    def show(self, title, users, notes):
        """Called ten times a second while the users copy."""
        if not self.terminal:
            if time.monotonic() - self.last_line >= 2:
                self.last_line = time.monotonic()
                parts = [f"{user.name} {user.fraction:4.0%} {user.direction}{self.stall(user)}" for user in users]
                self.say(" | ".join([title, *parts, *notes]))
            return
        width = shutil.get_terminal_size().columns
        lines = [title]
        for user in users:
            full = int(user.fraction * BAR)
            bar = "█" * full + "░" * (BAR - full)
            lines.append(f"  {user.name} {bar} {user.fraction:4.0%} {user.direction:6}{self.stall(user)}")
        lines += [f"  {note}" for note in notes]
        self.erase()
        sys.stdout.write("".join(line[: width - 1] + "\n" for line in lines))
        sys.stdout.flush()
        self.drawn = len(lines)

    @staticmethod
    def stall(user):
        return f" standing {user.still / 1000:.1f} s" if user.still >= 500 else ""


def table(headings, rows):
    """Text columns, as wide as their widest cell."""
    cells = [headings, *rows]
    widths = [max(len(str(row[column])) for row in cells) for column in range(len(headings))]
    lines = ["  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
