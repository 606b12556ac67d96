"""What is installed beside our own code: exact versions with the digests of their files, and their licences."""
