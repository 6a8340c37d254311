"""reconcile of ArchiveViews: a surveyor where one is needed, the generation that users see, how it stands."""
