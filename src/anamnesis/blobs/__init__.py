"""Where the bytes of files lie: a folder, or a bucket. Both keep a blob whole or not at all, under a name of ours."""
