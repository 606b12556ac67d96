"""What the documentation is made with: the picture of the path and the screenshots."""
