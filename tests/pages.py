"""The pages of which the manual has pictures: what each is called, and the words by which a reader knows it.

The end-to-end suite takes the pictures and looks for the words; a unit test looks for both in docs/researcher.md.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "img" / "pages"
HEADINGS = {
    "sign-in": "To be put on it, write to",
    "not-on-the-list": "You are not on the list of this hub",
    "home": "Your server is stopped",
    "choose": "Choose a server",
    "starting": "Your server is starting",
    "failed": "Your server did not start",
    "no-answer": "Your server does not answer",
    "not-running": "Your server is not running",
    "first-start": "Welcome",
    "full-home": "Your home has no room left",
    "earlier": "Earlier versions of your files",
    "before-a-restore": "Save All",
}
"""Name of the picture -> words on the page."""
