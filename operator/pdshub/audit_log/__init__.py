"""The one log of what happened to people: appended to, chained, read by nobody but its reader's pod."""
