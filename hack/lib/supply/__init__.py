"""What PDSHub is made of: bills of materials, known holes, and releases whose files anybody can build again."""
